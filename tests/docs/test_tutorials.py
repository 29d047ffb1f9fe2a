"""The tutorials' cells run one after the other, without a warning, and draw what they describe.

They run in this process, which has imported torch; `make docs` and `make check-slow` run them in Jupyter.
"""

import re
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
CELL = re.compile(r"^```\{code-cell\} python\n((?::[^\n]*\n)*)(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of libraries among themselves, which Jupyter hides
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_its_cells_run_and_draw(page, monkeypatch):
    """Trainings of some seconds: they are what a tutorial is about, and its assertions hold after the whole of them."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(page.parent)
    text, names = page.read_text(), {"__name__": page.stem}
    cells = list(CELL.finditer(text))
    assert len(cells) == text.count("{code-cell}") >= 4
    with pyplot.rc_context(fname=page.parents[1] / "matplotlibrc"):
        for cell in cells:
            exec(compile("\n" * text[: cell.start(2)].count("\n") + cell[2], page, "exec"), names)
            for number in pyplot.get_fignums():
                pyplot.figure(number).canvas.draw()
            pyplot.close("all")
