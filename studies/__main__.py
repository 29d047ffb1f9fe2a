"""List the studies, or run one: ``python -m studies [NAME [OPTIONS]]``."""

import sys
from collections.abc import Sequence
from importlib import import_module

from conductance.errors import ConductanceError, UnknownNameError
from studies.shared.catalog import list_studies

USAGE = "python -m studies NAME measures a study again; python -m studies NAME --help shows its options"


def main(arguments: Sequence[str]) -> str | None:
    """Run what was typed.

    Returns:
        What went wrong, in one line, or None.
    """
    studies = list_studies()
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, studies))
        print(*(f"{name:{width}}  {question}" for name, question in studies.items()), "", USAGE, sep="\n")
        return None
    name, *options = arguments
    try:
        if name not in studies:
            raise UnknownNameError("study", name, studies)
        return import_module(f"studies.{name}.measure").main(options)
    except ConductanceError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
