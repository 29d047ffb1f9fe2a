"""Put the tables below results/ into the pages that show them, below a comment with the table's name."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
PAGES = ("README.md", "results/README.md", "docs/reproduction.md")


def embed(page: str, name: str, text: str) -> str:
    """The page with ``text`` below the comment with this name, in place of the table there, if there is one."""
    comment = rf"(<!-- (?:results/)?{re.escape(name)} -->\n\n)"
    below = r"(?:(?:\|.*\n)+\n?)?"
    return re.sub(comment + below, lambda match: f"{match[1]}{text.rstrip()}\n\n", page).rstrip() + "\n"


def main() -> None:
    for name in PAGES:
        path = ROOT / name
        text = path.read_text()
        for table in sorted(RESULTS.rglob("*.md")):
            text = embed(text, str(table.relative_to(RESULTS)), table.read_text())
        path.write_text(text)


if __name__ == "__main__":
    main()
