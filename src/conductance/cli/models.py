"""``conductance models``: list the network architectures, the layer families and the trained networks."""

from dataclasses import dataclass

from conductance.cli.arguments import parse
from conductance.cli.console import console, plain_table


@dataclass
class ModelsArguments:
    """List the network architectures, the layer families that each of them can be made of, and trained networks.

    conductance.load("NAME") loads a trained network.
    """


def run(arguments: list[str]) -> None:
    """Print three tables."""
    parse(ModelsArguments, "models", arguments)
    from conductance.models import ARCHITECTURES, FAMILIES
    from conductance.share import about, names

    architectures = plain_table("architecture", "what it is")
    for name, architecture in ARCHITECTURES.items():
        architectures.add_row(name, (architecture.__doc__ or "").splitlines()[0])
    families = plain_table("family", "its hidden layers", "input")
    for family in FAMILIES.values():
        families.add_row(family.name, family.description, family.preprocessing)
    trained = plain_table("trained network", "test accuracy", "parameters", "images")
    for name in names():
        known = about(name)
        accuracy, shape = (known.accuracy or {})["test_accuracy"], known.input_shape or []
        trained.add_row(name, f"{accuracy:.2f} %", f"{known.parameters:,}", " x ".join(map(str, shape)))
    console.print(architectures, "", families, "", trained)
