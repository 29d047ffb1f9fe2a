"""Tables of plain text."""

from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, columns two spaces apart.

    >>> table(("layer", "units"), [("1", "32")])
    ['layer  units', '1      32']
    """
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    ]


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, of cells that are Markdown already (`conductance.printable.in_markdown`).

    >>> print(markdown(("layer", "units"), [("1", "32")]))
    | layer | units |
    | :-- | :-- |
    | 1 | 32 |
    """
    lines = [headings, [":--"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
