"""The page: one file of HTML with style, scripts, networks and images inside, which asks no host for anything."""

import json
import re
from pathlib import Path
from typing import Any

from conductance.errors import InputError
from conductance.files import write_text
from conductance.live.arrays import packed_bytes
from conductance.live.network import of_conductances, of_sums
from conductance.live.pictures import Pictures, pictures
from conductance.share.source import Source

TEMPLATE = Path(__file__).parent / "page"
FILE = "index.html"
_PART = re.compile(r"<!-- (style|script): (\S+) -->|<!-- (data) -->")


def build_page(source: Source, beside: Source | None = None) -> str:
    """The whole page as text; the same networks always give the same page.

    Args:
        source: a network of conductances: a chain of CWALinear, CWAConv2d, pools and an affine readout.
        beside: one of affine layers, for comparison: it sees the same images, changed in the same way.

    Raises:
        InputError: a network that cannot be shown; or ``beside`` takes images of another shape.
        SavedNetworkError: a network was saved without its preprocessing.
    """
    return _PART.sub(lambda found: _part(found, source, beside), (TEMPLATE / FILE).read_text(encoding="utf-8"))


def write_page(folder: str | Path, source: Source, beside: Source | None = None) -> Path:
    """Write the page as FOLDER/index.html, which any browser opens, from any place; see `build_page`.

    Raises:
        ConductanceError: see `build_page`; or the file cannot be written.
    """
    file = Path(folder) / FILE
    write_text(file, build_page(source, beside))
    return file


def page_data(source: Source, beside: Source | None = None) -> dict[str, Any]:
    """What the page's scripts read: networks and images in plain values. Arguments and errors as for `build_page`."""
    preprocessing, _ = source.pixels()
    shown = pictures(source)
    network = of_conductances(source.network, preprocessing, shown.pixels)
    outputs, *place = network["layers"][-1]["gives"]
    if tuple(place) != (1, 1):
        raise InputError(f"{source.name} gives a map and no answer; a live page shows networks that tell classes apart")
    data: dict[str, Any] = {
        "name": source.name,
        "about": source.about,
        "classes": list(source.classes or map(str, range(outputs))),
        "network": network,
        "beside": None,
        "images": {
            "count": len(shown.pixels),
            "what": shown.what,
            "pixels": packed_bytes(shown.pixels),
            "labels": None if shown.labels is None else shown.labels.tolist(),
        },
    }
    if beside is not None:
        data["beside"] = _beside(beside, shown, outputs)
    return data


def _beside(beside: Source, shown: Pictures, outputs: int) -> dict[str, Any]:
    preprocessing, images = beside.pixels()
    if images.shape[1:] != shown.pixels.shape[1:]:
        shapes = f"{tuple(images.shape[1:])}, not {tuple(shown.pixels.shape[1:])}"
        raise InputError(f"{beside.name} takes images of the shape {shapes}; compare networks of the same images")
    network = of_sums(beside.network, preprocessing, shown.pixels)
    classes = network["layers"][-1]["gives"][0]
    if classes != outputs:
        raise InputError(f"{beside.name} tells {classes} classes, not {outputs}; compare networks of the same classes")
    return {"name": beside.name, "about": beside.about, "network": network}


def _part(found: re.Match[str], source: Source, beside: Source | None) -> str:
    kind, file, _ = found.groups()
    if kind is None:
        text = json.dumps(page_data(source, beside), separators=(",", ":")).replace("</", "<\\/")
        return f'<script type="application/json" id="data">{text}</script>'
    content = (TEMPLATE / file).read_text(encoding="utf-8")
    return f"<style>\n{content}</style>" if kind == "style" else f"<script>\n{content}</script>"
