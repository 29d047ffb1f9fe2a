"""Where 0.1 had its presets."""

from conductance.deprecation import moved

__getattr__ = moved(__name__, dict.fromkeys(("PRESETS", "get_preset"), "conductance.presets"))
