"""The study: ablation."""
