"""The study: shot_noise."""
