"""Tables of a blink on the embedded digits, in the place of the paper's: material for tests, never results."""

import sys
from dataclasses import replace
from functools import partial

from conductance import cli
from conductance.presets import named as presets
from conductance.reproduction import paper as paper_tables
from conductance.reproduction.paper import Cell

TABLES = {
    "table1": (Cell("digits", "fcn", "cwa", 91.5), Cell("digits", "fcn", "affine", 92.25)),
    "table2": (Cell("digits", "fcn", "cwa", 91.5), Cell("digits", "fcn", "made_of_glass", 90.0)),
}
EPOCHS = 2


def tiny_preset(family):
    config = presets.digits_fcn(family)
    data = replace(config.data, batch_size=100)
    return replace(config, epochs=EPOCHS, model=replace(config.model, widths=(8, 8)), data=data)


PRESETS = {f"digits-fcn-{family}": partial(tiny_preset, family) for family in ("cwa", "affine")}


def install(set_item=lambda there, key, value: there.update({key: value})):
    """Put them in place, by `monkeypatch.setitem` or for good."""
    for there, values in ((paper_tables.TABLES, TABLES), (presets.PRESETS, PRESETS)):
        for key, value in values.items():
            set_item(there, key, value)


if __name__ == "__main__":  # the command line as a process of its own
    install()
    cli.main(sys.argv[1:])
