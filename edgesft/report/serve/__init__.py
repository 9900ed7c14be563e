"""Serves the runs of a folder to a browser on this machine."""
