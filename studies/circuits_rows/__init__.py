"""The study: forms."""
