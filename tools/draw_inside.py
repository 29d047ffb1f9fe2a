"""Draw the README's picture, docs/inside.svg: what happens in each layer of a checked-in run."""

from pathlib import Path

from conductance.files import write_text
from conductance.report.portraits import grid_figure
from conductance.report.svg import figure_style, svg_page
from conductance.runs import Run

ROOT = Path(__file__).parent.parent
RUN = ROOT / "results/presets/cifar10-cnn-cwa-seed0"
PICTURE = ROOT / "docs/inside.svg"


def draw() -> str:
    """The picture as an SVG file, on white: pages that show it may be dark."""
    internals = Run(RUN).internals
    assert internals is not None
    with figure_style():
        figure = grid_figure(internals["layers"])
        figure.set_facecolor("white")
        return svg_page(figure)


if __name__ == "__main__":
    write_text(PICTURE, draw())
