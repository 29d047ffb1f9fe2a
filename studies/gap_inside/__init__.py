"""The study: gap_inside."""
