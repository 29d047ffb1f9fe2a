"""Claims of the paper that no two cells of its tables decide."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from conductance.reproduction.claims import NOT_MEASURED, Finding, Verdict
from conductance.reproduction.rows import PaperRow

FITTED = 99.4
TRAINING = "Training accuracy rises above 99.4 % in all networks (section 4.3)"
BEST = "Of several trials, CWA's best is above AbsNorm's best: cifar10, fcn (table 2 shows the best of four)"


def outside_the_tables(rows: Iterable[PaperRow]) -> list[Finding]:
    """Findings about the claims that follow from our runs of the tables' cells, by each recipe."""
    measured = [row for row in rows if row.seeds and row.whole]
    recipes = list(dict.fromkeys(row.recipe for row in measured))
    by_recipe = {recipe: [row for row in measured if row.recipe == recipe] for recipe in recipes}
    fitted = [_fitted(recipe, members) for recipe, members in by_recipe.items() if len({*_cells(members)}) > 1]
    best = [each for recipe, members in by_recipe.items() for each in _best_trials(recipe, members)]
    return [
        *(fitted or [Finding(TRAINING, f"> {FITTED}", obstacle=NOT_MEASURED)]),
        *(best or [Finding(BEST, "+2.03", obstacle=NOT_MEASURED)]),
    ]


def _cells(rows: Sequence[PaperRow]) -> dict[tuple[str, str, str], float]:
    """The mean training accuracy of each cell after the last epoch, in %."""
    return {
        row.kind: fmean(run.summary["train_accuracy"] for run in row.runs if run.summary is not None)
        for row in rows
        if row.runs
    }


def _fitted(recipe: str, rows: Sequence[PaperRow]) -> Finding:
    cells = _cells(rows)
    reached, least = sum(accuracy > FITTED for accuracy in cells.values()), min(cells.values())
    here = f"{reached} of {len(cells)} cells, the least {least:.1f}"
    by_the_letter = recipe.startswith("paper")
    decided: Verdict = "supported" if reached == len(cells) else "contradicted"
    given = decided if by_the_letter else None
    obstacle = "" if by_the_letter else "the presets stop after their epochs, fitted or not"
    return Finding(TRAINING, f"> {FITTED}", recipe, obstacle=obstacle, here=here, given=given)


def _best_trials(recipe: str, rows: Sequence[PaperRow]) -> list[Finding]:
    trials = {
        row.family: row.accuracies for row in rows if row.table == "table2" and row.kind[:2] == ("cifar10", "fcn")
    }
    if not (trials.get("cwa") and trials.get("absnorm")):
        return []
    best = max(trials["cwa"]) - max(trials["absnorm"])
    here = f"{best:+.2f} (of {len(trials['cwa'])} and {len(trials['absnorm'])})"
    return [Finding(BEST, "+2.03", recipe, obstacle="a best trial has no interval", here=here)]
