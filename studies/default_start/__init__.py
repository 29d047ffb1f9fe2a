"""The study: default_start."""
