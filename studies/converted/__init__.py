"""The study: converted."""
