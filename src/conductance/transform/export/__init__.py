"""Networks for other programs: ONNX, torch.export, and tables of conductances in siemens."""

from conductance.transform.export.graph import Difference, Exported
from conductance.transform.export.onnx import export_onnx
from conductance.transform.export.program import export_program
from conductance.transform.export.table import ConductanceTable, conductance_tables, export_table

__all__ = [
    "ConductanceTable",
    "Difference",
    "Exported",
    "conductance_tables",
    "export_onnx",
    "export_program",
    "export_table",
]
