"""Matplotlib figures as SVG inside a page: small, in the page's colors, with unique ids."""

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from conductance.report.colors import INK, THEMED

STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "conductance",
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the page's style; matplotlib's own settings are restored."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")  # the reader's browser draws the letters
        yield


def svg_page(figure: Figure) -> str:
    """The figure as an SVG file, the same text at every run; a path is one line, in hundredths of a point."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda place: _rounded(place[0]), buffer.getvalue())


def _rounded(place: str) -> str:
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", place).replace("\n", "")


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an ``<svg>`` element; screen readers announce it as `description`."""
    text = svg_page(figure)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style .*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font:[^;\"]*?([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family:[^;\"]*;? ?", "", text)
    text = re.sub(r">\s*\n\s*<", "><", text)
    for color, themed in THEMED.items():
        text = text.replace(color, themed)
    text = _without_bare_groups(_own_names(text, description))
    head = f'<svg role="img" aria-label="{escape(description)}" viewBox='
    return re.sub(r"<svg .*?viewBox=(\"[^\"]*\")[^>]*>", lambda match: f"{head}{match[1]}>", text, count=1)


def _own_names(text: str, description: str) -> str:
    """Keep only the ids that the figure refers to, and make them different from other figures'."""
    prefix = "f" + hashlib.blake2s((description + text).encode(), digest_size=4).hexdigest()
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", text)
    return re.sub(r'(xlink:href="#|url\(#)', lambda m: m[1].removeprefix("xlink:") + prefix + "-", text)


def _without_bare_groups(text: str) -> str:
    """Leave out groups that say nothing: a page with many figures has half as many elements."""
    parts: list[str] = []
    said: list[bool] = []  # whether each open group has attributes
    for part in re.split(r"(<g/>|<g>|<g [^>]*>|</g>)", text):
        if part.startswith("<g ") and not part.endswith("/>"):
            said.append(True)
        elif part == "<g>":
            said.append(False)
        bare = part in ("<g>", "<g/>") or (part == "</g>" and not said.pop())
        if not bare:
            parts.append(part)
    return "".join(parts)
