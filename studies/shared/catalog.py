"""Which studies there are."""

import ast
from pathlib import Path

STUDIES = Path(__file__).parents[1]


def list_studies() -> dict[str, str]:
    """The question of each study, by its name: the first line of its ``measure.py``. No study is imported for it."""
    return {path.parent.name: _first_line(path) for path in sorted(STUDIES.glob("*/measure.py"))}


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
