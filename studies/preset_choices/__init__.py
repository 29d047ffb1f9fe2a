"""The study: recipe."""
