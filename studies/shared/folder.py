"""The folder of a study. A study writes nowhere else."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudyFolder:
    """Where a study keeps what it measured.

    Attributes:
        path: the folder; its name is the study's.
    """

    path: Path

    @property
    def result(self) -> Path:
        """The measurements as CSV, a row for each."""
        return self.path / "result.csv"

    @property
    def table(self) -> Path:
        """The result as a Markdown table, for the pages that show it."""
        return self.path / "table.md"

    @property
    def figure(self) -> Path:
        """The result as a figure."""
        return self.path / "figure.svg"

    @property
    def runs(self) -> Path:
        """The training runs that the result is made of, not checked in."""
        return self.path / "runs"

    @property
    def command(self) -> str:
        """What makes the result again."""
        return f"make study NAME={self.path.name}"

    def parser(self, description: str | None, *, seeds: int | None = None, reads_data: bool = False) -> ArgumentParser:
        """The command line of the study, for its options.

        Args:
            description: what the study asks.
            seeds: the default of ``--seeds``; no such option where None.
            reads_data: whether there is a ``--data-dir``.
        """
        program = f"python -m studies {self.path.name}"
        parser = ArgumentParser(program, description=description, formatter_class=RawDescriptionHelpFormatter)
        if seeds is not None:
            parser.add_argument(
                "--seeds", type=int, default=seeds, help="how many; 0 train nothing (default: %(default)s)"
            )
        if reads_data:
            parser.add_argument("--data-dir", type=Path, help="where the data sets lie")
        return parser


def folder_of(file: str) -> StudyFolder:
    """The folder of the study that the module ``file`` belongs to."""
    return StudyFolder(Path(file).resolve().parent)
