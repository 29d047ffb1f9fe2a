"""The study: drift."""
