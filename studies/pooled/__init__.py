"""The study: pooled."""
