"""The command line."""

from conductance.cli.app import main

__all__ = ["main"]
