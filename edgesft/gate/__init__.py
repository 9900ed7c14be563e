"""Holds artefacts against limits, against baselines and against each other, and says so in one form."""
