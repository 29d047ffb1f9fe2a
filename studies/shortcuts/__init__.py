"""The study: shortcuts."""
