"""Where commands print: one console for all of them."""

import sys

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 10_000
"""Columns of a pipe or a file: its reader wraps lines, and names must stay whole."""


def open_console() -> Console:
    """Standard output, as wide as the terminal; a pipe is as wide as any line."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH, height=25)


console = open_console()


def plain_table(*headings: str) -> Table:
    """A table without lines, whose first column is never cut."""
    table = Table(box=None)
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0, overflow="ignore" if place == 0 else "fold")
    return table
