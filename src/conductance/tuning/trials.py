"""Trains the trials of a search, one after the other, until enough are done."""

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from conductance.errors import InputError
from conductance.presets import train_command
from conductance.runs import RunConfig
from conductance.training import NonFiniteLossError, train
from conductance.tuning.space import with_values
from conductance.tuning.study import ERROR, FOLDER, Search, counted, next_trial, open_study

if TYPE_CHECKING:
    from optuna import Study, Trial

    from conductance.training import Trainer

VALIDATION = "validation_accuracy"
"""What decides. Test images decide nothing: not which trial is pruned, nor which is best."""


class Pruning:
    """A callback that tells a trial how far its run is, and ends the run where the others were better by then."""

    def __init__(self, trial: "Trial") -> None:
        self.trial = trial
        self.pruned = False

    def on_start(self, trainer: "Trainer") -> None:
        """Tell what an interrupted process had measured."""
        for epoch in trainer.history:
            self.trial.report(epoch[VALIDATION], epoch["epoch"])

    def on_epoch(self, trainer: "Trainer") -> None:
        """Tell, and ask."""
        self.trial.report(trainer.history[-1][VALIDATION], trainer.epoch)
        if trainer.epoch < trainer.config.epochs and self.trial.should_prune():
            self.pruned = True
            trainer.stop()


def work(search: Search, console: Console, *, train: Callable[..., dict[str, Any]] = train) -> "Study":
    """Train trials until the study has enough, together with whatever other processes do.

    Args:
        search: what is searched.
        console: where to show progress.
        train: `conductance.training.train`.

    Returns:
        The study.

    Raises:
        ConductanceError: the storage or the data cannot be used.
    """
    study = open_study(search)
    while True:
        with ExitStack() as held, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Argument .* is an experimental feature")
            trial = next_trial(study, search, held)
            if trial is None:
                return study
            _try(study, trial, search, console, train)


def _try(
    study: "Study", trial: "Trial", search: Search, console: Console, train: Callable[..., dict[str, Any]]
) -> None:
    """Train one trial, and tell the study what came of it."""
    from optuna.trial import TrialState

    values = {choice.field: choice.suggest(trial) for choice in search.choices}
    said = ", ".join(f"{name.replace('_', '-')} {_plain(value)}" for name, value in values.items())
    count = f"trial {trial.number} ({len(counted(study))} of {search.trials})"
    console.print(f"[bold]{count}[/]: {said}", highlight=False, soft_wrap=True)
    pruning = Pruning(trial)
    try:
        config = trial_config(search, values, trial.user_attrs[FOLDER])
        summary = train(
            config,
            search.out / trial.user_attrs[FOLDER],
            data_dir=search.data_dir,
            device=search.device,
            resume=True,
            console=console,
            command=train_command(config, data_dir=search.data_dir),
            callbacks=[pruning],
        )
    except (NonFiniteLossError, InputError) as error:  # such options are no good, and the search goes on
        trial.set_user_attr(ERROR, str(error))
        study.tell(trial, state=TrialState.PRUNED)
        console.print(f"{count}: {error}", highlight=False, markup=False, soft_wrap=True)
        return
    if pruning.pruned:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, summary[VALIDATION])
    how = f", pruned after {summary['epochs']} epochs" if pruning.pruned else ""
    console.print(f"{count}: validation accuracy {summary[VALIDATION]:.2f} %{how}", highlight=False)


def trial_config(search: Search, values: dict[str, Any], name: str) -> RunConfig:
    """The run of a trial.

    Raises:
        InputError: the values do not fit together.
    """
    return with_values(replace(search.config, name=f"{search.config.name}-{name}"), values)


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
