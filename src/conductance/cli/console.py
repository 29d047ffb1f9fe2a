"""Where commands print: one console for all of them."""

import sys
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment
from rich.table import Table

from conductance.printable import printable

PIPE_WIDTH = 10_000
"""Columns of a pipe or a file: its reader wraps lines, and names must stay whole."""


def open_console() -> Console:
    """Standard output, as wide as the terminal; a pipe is as wide as any line. Names cannot command the terminal."""
    opened = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH, height=25)
    opened.push_render_hook(_Printable())
    return opened


class _Printable(RenderHook):
    """Spells out the control characters in what is printed; those of rich itself are kept."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_PrintableText(renderable) for renderable in renderables]


class _PrintableText:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self.renderable, options):
            yield Segment(text if control else printable(text, kept="\n"), style, control)


console = open_console()


def plain_table(*headings: str) -> Table:
    """A table without lines, whose first column is never cut."""
    table = Table(box=None)
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0, overflow="ignore" if place == 0 else "fold")
    return table
