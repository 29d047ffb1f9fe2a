"""The study: what was tried, in a storage that several processes share."""

import json
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from conductance.bounds import require_within
from conductance.errors import ConductanceError, InputError, one_line
from conductance.extras import import_extra
from conductance.runs import RunConfig, RunFolder
from conductance.runs.differences import differing_fields
from conductance.tuning.space import Choice

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

MOST_TRIALS = 100_000

SETTINGS, FOLDER, ERROR = "settings", "folder", "error"
"""Attributes that this package gives studies and trials."""


@dataclass(frozen=True)
class Search:
    """A search for the best options of a run.

    Attributes:
        config: the run; its validation images decide, so it must have some.
        choices: the options that are searched.
        trials: how many to try, all processes and calls together.
        out: the folder of all trials.
        storage: a file, or the URL of a database.
        study: name of the study in the storage.
        prune: whether trials that are behind the median of the others are ended early.
        data_dir: folder to search for the data set first.
        device: where to train.
    """

    config: RunConfig
    choices: tuple[Choice, ...]
    trials: int
    out: Path
    storage: str
    study: str
    prune: bool = True
    data_dir: Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"trials={self.trials}: must be at least 1")
        require_within("trials", self.trials, MOST_TRIALS)

    @property
    def settings(self) -> dict[str, Any]:
        """What all calls that share the study must agree on."""
        return {"config": self.config.to_dict(), "search": sorted(map(str, self.choices))}


def open_study(search: Search) -> "Study":
    """The study, made where there is none yet.

    Raises:
        ConductanceError: optuna is missing, or the storage cannot be used.
        InputError: the study was made with other settings.
    """
    optuna = import_extra("optuna", "to tune", "tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its plots complain of few trials
    warmup = max(1, search.config.epochs // 5)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some of what is used here is called experimental
            study = optuna.create_study(
                study_name=search.study,
                storage=_storage(search.storage),
                direction="maximize",
                sampler=optuna.samplers.TPESampler(constant_liar=True),  # several processes try different places
                pruner=pruner if search.prune else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
    except ConductanceError:
        raise
    except Exception as error:  # each database has its own kinds
        raise ConductanceError(f"the storage {search.storage} cannot be used: {one_line(error)}") from error
    wanted = json.loads(json.dumps(search.settings))
    made = study.user_attrs.get(SETTINGS)
    if made is None:
        study.set_user_attr(SETTINGS, wanted)
    elif different := differing_fields(made, wanted):
        values = "; ".join(f"{name} is {old} there, {new} here" for name, (old, new) in different.items())
        raise InputError(f"the study {search.study!r} was made otherwise ({values}); name another with --study")
    return study


def _storage(place: str) -> Any:
    """A URL as Optuna takes it; a file becomes a journal, which several machines may share."""
    if "://" in place:
        return place
    from conductance.tuning.journal import journal_storage

    return journal_storage(place)


def next_trial(study: "Study", search: Search, held: ExitStack) -> "Trial | None":
    """Begin a trial, or go on with one whose process has ended; None where enough are done or under way.

    Args:
        study: from `open_study`.
        search: what is searched.
        held: keeps the lock of the trial's folder until it is closed.
    """
    search.out.mkdir(parents=True, exist_ok=True)
    with FileLock(search.out / ".lock"):
        for left in left_behind(study, search):
            _hand_on(study, left)
        if len(counted(study)) >= search.trials:
            return None
        trial = study.ask()
        if trial.user_attrs.get(FOLDER) is None:
            trial.set_user_attr(FOLDER, f"trial{trial.number}")
        held.enter_context(_folder(trial, search).locked())
        return trial


def left_behind(study: "Study", search: Search) -> "list[FrozenTrial]":
    """The trials under way whose process has ended.

    A process tells the study of a trial's end before it lets the folder go; so a trial that still runs, to a study read
    after its folder was found free, has no process any more.
    """
    from optuna.trial import TrialState

    def running() -> "list[FrozenTrial]":
        return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    free = {trial.number for trial in running() if not _folder(trial, search).busy}
    return [trial for trial in running() if trial.number in free] if free else []


def _hand_on(study: "Study", left: "FrozenTrial") -> None:
    """Queue what a trial had begun for another, which takes its folder: Optuna continues none.

    The trial ends after that, so that a kill between the two loses nothing.
    """
    from optuna.trial import TrialState

    folder = left.user_attrs.get(FOLDER)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if folder is not None and folder not in [trial.user_attrs.get(FOLDER) for trial in waiting]:
        values = {**left.system_attrs.get("fixed_params", {}), **left.params}  # queued ones, too, that it never drew
        study.enqueue_trial(values, user_attrs={FOLDER: folder})
    study.tell(left.number, state=TrialState.FAIL)


def counted(study: "Study") -> "list[FrozenTrial]":
    """The trials that are finished, pruned or under way; not those that another has taken over."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING))


def _folder(trial: "Trial | FrozenTrial", search: Search) -> RunFolder:
    return RunFolder(search.out / (trial.user_attrs.get(FOLDER) or f"trial{trial.number}"))


def ended(study: "Study") -> "list[FrozenTrial]":
    """The trials that are finished or pruned, in their order."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def finished(study: "Study") -> "list[FrozenTrial]":
    """The trials that were trained to the end, best first."""
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(done, key=lambda trial: (-(trial.value or 0.0), trial.number))
