"""The study: one_recipe."""
