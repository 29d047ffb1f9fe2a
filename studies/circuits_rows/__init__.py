"""The study: circuits_rows."""
