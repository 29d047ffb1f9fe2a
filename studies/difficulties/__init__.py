"""The study: difficulties."""
