"""Presets: named complete runs, and the command that trains one."""

from conductance.presets.command import train_command
from conductance.presets.named import PRESETS, get_preset

__all__ = ["PRESETS", "get_preset", "train_command"]
