"""``conductance models``: list the network architectures and the layer families."""

from dataclasses import dataclass

from conductance.cli.arguments import parse
from conductance.cli.console import console, plain_table


@dataclass
class ModelsArguments:
    """List the network architectures, and the layer families that each of them can be made of."""


def run(arguments: list[str]) -> None:
    """Print two tables."""
    parse(ModelsArguments, "models", arguments)
    from conductance.models import ARCHITECTURES, FAMILIES

    architectures = plain_table("architecture", "what it is")
    for name, architecture in ARCHITECTURES.items():
        architectures.add_row(name, (architecture.__doc__ or "").splitlines()[0])
    families = plain_table("family", "its hidden layers", "input")
    for family in FAMILIES.values():
        families.add_row(family.name, family.description, family.preprocessing)
    console.print(architectures, "", families)
