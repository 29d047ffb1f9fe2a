"""Tables, curves and pages of any runs. Nothing here trains; matplotlib and jinja2 load on first use."""

from conductance.deprecation import moved
from conductance.report.page import write_report
from conductance.report.rows import Row, summarize
from conductance.report.table import markdown_table, terminal_table, write_csv, write_markdown

__all__ = [
    "Row",
    "markdown_table",
    "summarize",
    "terminal_table",
    "write_csv",
    "write_markdown",
    "write_report",
]

__getattr__ = moved(__name__, dict.fromkeys(("Run", "load_runs"), "conductance.runs"))
