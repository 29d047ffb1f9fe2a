"""The colors of all figures: the same on pages, in reports and in what a session draws."""

INK = "#24292f"
EXCITATORY = "#c8452f"
INHIBITORY = "#2f6fb5"
