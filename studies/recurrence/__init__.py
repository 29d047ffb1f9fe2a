"""The study: recurrence."""
