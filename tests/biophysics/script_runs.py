"""What the scripts for other simulators print."""

import csv
import os
import subprocess
import sys


def run(file):
    """The columns that a script prints, by unit: potentials at 0, 1, ... ms and at rest."""
    ran = subprocess.run(
        [sys.executable, file], capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": ""}
    )
    assert ran.returncode == 0, ran.stderr
    return columns(ran.stdout)


def columns(text):
    heading, *rows = csv.reader(text.splitlines())
    assert [row[0] for row in rows] == [*map(str, range(101)), "inf"]
    return {name: [float(value) for value in column] for name, *column in zip(heading, *rows, strict=True)}
