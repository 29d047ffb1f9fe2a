"""The study: valence."""
