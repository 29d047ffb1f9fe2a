"""The study: ideas."""
