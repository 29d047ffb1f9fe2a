"""The study: pooled_circuits."""
