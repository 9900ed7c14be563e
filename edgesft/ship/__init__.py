"""Bundles for devices: the models with their contract and measurements, and proof that they arrived intact
(`export/BUNDLE.md`).
"""
