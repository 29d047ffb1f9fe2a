"""Tables and figures from results on disk. Nothing here trains; matplotlib and jinja2 load on first use."""

from conductance.report.page import write_report
from conductance.report.rows import Row, summarize
from conductance.report.table import markdown_table, terminal_table, write_csv, write_markdown
from conductance.runs.read import Run, load_runs

__all__ = [
    "Row",
    "Run",
    "load_runs",
    "markdown_table",
    "summarize",
    "terminal_table",
    "write_csv",
    "write_markdown",
    "write_report",
]
