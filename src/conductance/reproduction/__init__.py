"""The paper's tables from nothing, beside the paper's figures, and its claims."""

from conductance.reproduction.paper import TABLES, Cell, select_cells
from conductance.reproduction.plan import Job, plan_jobs, plan_table
from conductance.reproduction.recipes import RECIPES, Recipe, get_recipe
from conductance.reproduction.rows import PaperRow, paper_rows
from conductance.reproduction.tables import is_reproduction, terminal_paper_table, write_tables
from conductance.reproduction.train import train_all

__all__ = [
    "RECIPES",
    "TABLES",
    "Cell",
    "Job",
    "PaperRow",
    "Recipe",
    "get_recipe",
    "is_reproduction",
    "paper_rows",
    "plan_jobs",
    "plan_table",
    "select_cells",
    "terminal_paper_table",
    "train_all",
    "write_tables",
]
