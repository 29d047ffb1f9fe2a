"""The study: connectivity."""
