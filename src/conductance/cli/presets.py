"""``conductance presets``: list the named runs."""

from dataclasses import dataclass

from conductance.cli.arguments import parse
from conductance.cli.console import console, plain_table


@dataclass
class PresetsArguments:
    """List the presets: complete runs, by name. `conductance train PRESET` trains one."""


def run(arguments: list[str]) -> None:
    """Print a table with a row for each preset."""
    parse(PresetsArguments, "presets", arguments)
    from conductance.presets import PRESETS

    table = plain_table("preset", "data set", "network", "family", "epochs")
    for name, preset in PRESETS.items():
        config = preset()
        table.add_row(name, config.data.dataset, config.model.architecture, config.model.family, str(config.epochs))
    console.print(table)
