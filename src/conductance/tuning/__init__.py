"""Searches for the options of a run that are best on validation images, with Optuna."""
