"""Put generated tables into the pages that show them: below a comment ``<!-- X.md -->`` goes the table in X.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "results/README.md", "docs/*.md", "studies/*/README.md")
COMMENT = r"(<!-- (\S+\.md) -->\n\n)"
TABLE = r"(?:(?:\|.*\n)+\n?)?"


def table_file(page: Path, name: str) -> Path:
    """The file that a page names, from its own folder, from results/ or from the repository's root."""
    places = [folder / name for folder in (page.parent, ROOT / "results", ROOT)]
    return next((place for place in places if place.exists()), places[-1])


def embed(page: Path) -> str:
    """The page with each table as it is in its file, in place of the one that is there, if there is one."""

    def with_table(found: re.Match[str]) -> str:
        comment, name = found.groups()
        return f"{comment}{table_file(page, name).read_text().rstrip()}\n\n"

    return re.sub(COMMENT + TABLE, with_table, page.read_text()).rstrip() + "\n"


def main() -> None:
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            page.write_text(embed(page))


if __name__ == "__main__":
    main()
