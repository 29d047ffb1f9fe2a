"""The study: membranes."""
