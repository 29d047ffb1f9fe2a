"""Networks turned into other networks."""

from conductance.transform.convert import convert
from conductance.transform.export import (
    ConductanceTable,
    Difference,
    Exported,
    conductance_tables,
    export_onnx,
    export_program,
    export_table,
)
from conductance.transform.freeze import freeze
from conductance.transform.frozen import FrozenAverage
from conductance.transform.report import Conversion, Converted
from conductance.transform.survey import Kept

__all__ = [
    "ConductanceTable",
    "Conversion",
    "Converted",
    "Difference",
    "Exported",
    "FrozenAverage",
    "Kept",
    "conductance_tables",
    "convert",
    "export_onnx",
    "export_program",
    "export_table",
    "freeze",
]
