"""What a search has found, as one self-contained page with Optuna's plots."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from conductance.errors import one_line
from conductance.extras import import_extra
from conductance.files import write_text
from conductance.presets import train_command
from conductance.report.page import environment
from conductance.tuning.space import with_values
from conductance.tuning.study import ERROR, Search, counted, finished

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

PAGE = "tuning.html"

WORDS = {
    "Objective Value": "validation accuracy (%)",
    "Intermediate Value": "validation accuracy (%)",
    "Step": "epoch",
    "Trial": "trial",
}
"""What Optuna's plots call things, and what they are here."""


class Plot(NamedTuple):
    """One of Optuna's plots: its name, what it shows, and the drawing or why there is none."""

    title: str
    caption: str
    svg: str | None


def write_page(study: "Study", search: Search) -> Path:
    """Write ``tuning.html`` beside the trials: the best ones, the command that trains the best, and Optuna's plots.

    Returns:
        The page.
    """
    for package in ("jinja2", "matplotlib"):
        import_extra(package, "to draw a report", "report")
    best = finished(study)
    page = (
        environment("conductance.tuning")
        .get_template("tuning.html")
        .render(
            search=search,
            trials=sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number),
            counted=len(counted(study)),
            names=[choice.field for choice in search.choices],
            best=best[0] if best else None,
            command=best_command(best[0], search) if best else "",
            plots=_plots(study) if best else [],
            error=ERROR,
            shown=_shown,
        )
    )
    write_text(search.out / PAGE, page)
    return search.out / PAGE


def best_command(best: "FrozenTrial", search: Search) -> str:
    """The command that trains the run of a trial again, under the name of the preset."""
    values = {choice.field: best.params[choice.field] for choice in search.choices}
    return train_command(with_values(search.config, values), data_dir=search.data_dir)


def _plots(study: "Study") -> list[Plot]:
    from optuna.visualization import matplotlib as plots

    drawn = (
        ("History", "The best validation accuracy so far, trial after trial.", plots.plot_optimization_history),
        ("Course", "Validation accuracy after each epoch, a line for each trial.", plots.plot_intermediate_values),
        ("Slices", "Validation accuracy against each option; later trials are darker.", plots.plot_slice),
        ("Importance", "How much of the differences an option explains.", plots.plot_param_importances),
    )
    return [_plot(title, caption, draw, study) for title, caption, draw in drawn]


def _plot(title: str, caption: str, draw: Callable[["Study"], Any], study: "Study") -> Plot:
    import matplotlib.pyplot as plt
    import numpy as np

    from conductance.report.svg import figure_style, to_svg

    with figure_style(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's plots are experimental, and tell so
        try:
            axes = np.ravel(draw(study))
            figure = axes[0].figure
            _restyle(figure)
            svg = to_svg(figure, f"{title}: {caption}")
        except Exception as error:  # too few trials for this plot, each of which says it in its own way
            return Plot(title, f"Not drawn: {one_line(error)}", None)
        finally:
            plt.close("all")
    return Plot(title, caption, svg)


def _restyle(figure: Any) -> None:
    """Give a plot the page's looks and words; Optuna draws in a style of its own."""
    from matplotlib.ticker import NullFormatter

    from conductance.report.colors import INK

    figure.set_size_inches(7, 3.2)
    figure.patch.set_alpha(0)
    figure.suptitle("")
    for bar in [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]:
        bar.remove()
    for axes in figure.axes:
        for place in ("left", "center"):
            axes.set_title("", loc=place)
        axes.set_facecolor("none")
        axes.grid(visible=False)
        axes.tick_params(labelsize=7.5, colors=INK)
        for spine in axes.spines.values():
            spine.set_edgecolor(INK)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
            words = axis.label.get_text()
            axis.set_label_text(WORDS.get(words, words.replace("_", "-")), fontsize=8, color=INK)
        if (legend := axes.get_legend()) is not None:
            for text in legend.get_texts():
                text.set_fontsize(8)
    figure.tight_layout()


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
