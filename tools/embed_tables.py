"""Put generated tables into the pages that show them: below a comment ``<!-- X.md -->`` goes the table in X.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "results/README.md", "docs/*.md", "studies/*/README.md")
COMMENT = r"(<!-- (\S+\.md) -->\n\n)"
NOTE = (
    r"(?:(?:Unfinished and left out|Different settings under one name|Seeds that mix precisions or commits): .*\n\n?)?"
)
TABLE = rf"(?:(?:\|.*\n)+\n?{NOTE})?"


def embed(page: Path) -> str:
    """The page with each table as it is in its file, whose name counts from the repository's root."""

    def with_table(found: re.Match[str]) -> str:
        comment, name = found.groups()
        return f"{comment}{(ROOT / name).read_text().rstrip()}\n\n"

    return re.sub(COMMENT + TABLE, with_table, page.read_text() + "\n").rstrip() + "\n"  # a table may be the last


def main() -> None:
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            page.write_text(embed(page))


if __name__ == "__main__":
    main()
