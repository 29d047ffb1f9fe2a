"""Run the benchmarks and write benchmarks/*.json and the tables of benchmarks/README.md: make bench"""

import json
import subprocess
import sys
from pathlib import Path

from conductance.bench import TIMING_COLUMNS, Timing, timing_rows

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "README.md"


def measure(what: str) -> dict:
    target = ROOT / "benchmarks" / f"{what}.json"
    program = Path(sys.executable).parent / "conductance"
    subprocess.run([program, "bench", what, "--json", target], check=True)
    return json.loads(target.read_text())


def table(figures: dict) -> str:
    rows = timing_rows([Timing(**timing) for timing in figures["timings"]])
    lines = [TIMING_COLUMNS, ["---"] * len(TIMING_COLUMNS), *rows]
    where, versions = figures["hardware"], figures["versions"]
    return "\n".join(
        [
            f"`conductance bench {figures['what']}`: {where['device']}, {where['cpu']}, {where['threads']} threads, "
            f"torch {versions['torch']}, commit {figures['git_commit']}, {figures['rounds']} rounds.",
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
        ]
    )


def main() -> None:
    page = PAGE.read_text()
    for what in ("training", "layers"):
        begin, end = f"<!-- {what} -->\n", f"<!-- end of {what} -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}{table(measure(what))}\n{end}{rest.split(end)[1]}"
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
