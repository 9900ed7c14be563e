"""Carries out a recipe: check, preflight, plan, run, resume, and keep only the stages that pay."""
