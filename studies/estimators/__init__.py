"""The study: estimators."""
