"""The study: gap."""
