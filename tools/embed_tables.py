"""Put the tables of results/*.md into the pages that show them, below a comment with the table's name."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "results/README.md")


def embed(page: str, table: Path) -> str:
    comment = rf"(<!-- (?:results/)?{re.escape(table.name)} -->\n\n)"
    return re.sub(rf"{comment}(?:\|.*\n)*\n?", lambda match: f"{match[1]}{table.read_text()}\n", page)


def main() -> None:
    for name in PAGES:
        path = ROOT / name
        text = path.read_text()
        for table in sorted((ROOT / "results").glob("*.md")):
            text = embed(text, table)
        path.write_text(text)


if __name__ == "__main__":
    main()
