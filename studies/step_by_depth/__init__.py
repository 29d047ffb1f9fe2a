"""The study: step_by_depth."""
