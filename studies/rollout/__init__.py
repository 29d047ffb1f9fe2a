"""The study: rollout."""
