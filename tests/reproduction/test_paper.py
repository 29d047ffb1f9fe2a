"""The cells are the paper's, and so are their figures."""

import pytest

from conductance.errors import UnknownNameError
from conductance.models import FAMILIES
from conductance.presets import PRESETS
from conductance.reproduction.paper import TABLES, select_cells

# Tables 1 and 2 as they are printed; the first three columns of table 1 with their two headings joined.
TABLE1 = """
network   mnist-cwa  mnist-affine_bn  cifar10-cwa  cifar10-cwa_bn  cifar10-affine  cifar10-affine_bn
fcn       98.65      98.72            61.98        64.93           65.10           63.93
cnn       98.89      99.42            78.09        .               73.40           88.60
resnet18  99.02      99.59            85.06        .               79.60           91.25
"""
TABLE2 = {"cwa": 61.98, "absnorm": 59.95, "cwa_li": 62.03}


def test_table_1_is_the_papers():
    heading, *lines = (line.split() for line in TABLE1.strip().splitlines())
    printed = {}
    for architecture, *figures in lines:
        for column, figure in zip(heading[1:], figures, strict=True):
            dataset, family = column.split("-")
            if figure != ".":
                printed[f"{dataset}-{architecture}-{family}"] = float(figure)
    assert {cell.name: cell.paper for cell in TABLES["table1"]} == printed


def test_table_2_is_the_papers():
    assert {cell.family: cell.paper for cell in TABLES["table2"]} == TABLE2
    assert {(cell.dataset, cell.architecture) for cell in TABLES["table2"]} == {("cifar10", "fcn")}


def test_every_cell_of_a_known_family_has_its_preset():
    for table in TABLES.values():
        assert all(cell.name in PRESETS for cell in table if cell.family in FAMILIES)


def test_cells_are_selected_by_name_in_the_tables_order():
    chosen = select_cells("table1", ["cifar10-cnn-cwa", "mnist-fcn-cwa"])
    assert [cell.name for cell in chosen] == ["mnist-fcn-cwa", "cifar10-cnn-cwa"]
    assert select_cells("table2") == TABLES["table2"]


@pytest.mark.parametrize(
    ("table", "names", "complaint"),
    [
        ("table3", [], "unknown table 'table3'.* Known: table1, table2"),
        ("table1", ["mnist-cnn-cwaa"], "unknown cell of table1 'mnist-cnn-cwaa'; did you mean 'mnist-cnn-cwa'"),
        ("table2", ["mnist-cnn-cwa"], "unknown cell of table2 'mnist-cnn-cwa'"),
    ],
)
def test_what_a_table_has_not_is_refused(table, names, complaint):
    with pytest.raises(UnknownNameError, match=complaint):
        select_cells(table, names)
