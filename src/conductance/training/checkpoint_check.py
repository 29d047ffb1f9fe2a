"""Whether the state in a checkpoint is one that this training could have written; before any of it is restored."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from conductance.finite import not_finite
from conductance.optim.optimizer import ConductanceOptimizer
from conductance.runs.kinds import COUNT, complaint
from conductance.runs.schema import OF_EPOCHS

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer

PARTS = ("network", "averaged", "optimizer", "protocol", "loader", "scaler", "random", "metrics", "stopped")


def check_state(trainer: "Trainer", saved: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Compare a saved state with the state that the training has now, in its names, types, shapes and lengths.

    Args:
        trainer: the training.
        saved: the state in the checkpoint.
        here: the training's own state.

    Raises:
        ValueError: they differ, or the saved one holds infinite values or NaN; the message names the place.
    """
    for part in PARTS:
        if part not in saved:
            raise ValueError(f"it lacks {part!r}")
    for part in ("network", "averaged"):
        _check_weights(part, saved[part], here[part])
    _check_alike("protocol", saved["protocol"], here["protocol"])
    _check_loader(saved["loader"], here["loader"])
    _check_optimizer(trainer, saved["optimizer"], here["optimizer"])
    _check_metrics(saved["metrics"], trainer.config.epochs)
    if type(saved["stopped"]) is not bool:
        raise ValueError("'stopped' is neither true nor false")
    if not COUNT.takes(saved.get("step", 0)):
        raise ValueError("'step' is no number of steps")


def _check_weights(part: str, saved: Any, here: Any) -> None:
    if here is None and saved is None:
        return
    if not isinstance(saved, dict) or not isinstance(here, dict):
        raise ValueError(f"{part!r} is a {type(saved).__name__}")
    for name, value in here.items():
        if isinstance(value, Tensor) and name in saved and not isinstance(saved[name], Tensor):
            raise ValueError(f"{name} is a {type(saved[name]).__name__}")
        if isinstance(value, Tensor) and name in saved and saved[name].is_floating_point() != value.is_floating_point():
            raise ValueError(f"{name} is {saved[name].dtype}, not {value.dtype}")
    if refused := not_finite(saved):
        raise ValueError(refused)


def _check_loader(saved: Any, here: dict[str, Any]) -> None:
    """Fields that earlier versions did not write may be missing."""
    _check_alike("loader", {**here, **saved} if isinstance(saved, dict) else saved, here)


def _check_alike(place: str, saved: Any, here: Any) -> None:
    """Check plain values: the same names, and values of the same types; an integer may stand for a float."""
    if isinstance(here, dict):
        if not isinstance(saved, dict) or saved.keys() != here.keys():
            raise ValueError(f"{place!r} does not have the fields {', '.join(map(str, here)) or '(none)'}")
        for name, value in here.items():
            _check_alike(f"{place}.{name}", saved[name], value)
    elif isinstance(here, (list, tuple)):
        if not isinstance(saved, (list, tuple)) or len(saved) != len(here):
            raise ValueError(f"{place!r} does not have {len(here)} entries")
        for number, (value, own) in enumerate(zip(saved, here, strict=True)):
            _check_alike(f"{place}.{number}", value, own)
    elif isinstance(here, float):
        if type(saved) not in (int, float) or saved != saved:
            raise ValueError(f"{place!r} is {saved!r:.40}, not a number")
    elif type(here) is int:
        if not COUNT.takes(saved):
            raise ValueError(f"{place!r} is {saved!r:.40}, not a count")
    elif type(saved) is not type(here):
        raise ValueError(f"{place!r} is a {type(saved).__name__}, not a {type(here).__name__}")


def _check_optimizer(trainer: "Trainer", saved: Any, here: Any) -> None:
    if not isinstance(saved, dict) or "state" not in saved or "param_groups" not in saved:
        raise ValueError("'optimizer' is not the state of an optimizer")
    own = isinstance(trainer.optimizer, ConductanceOptimizer)
    if own:
        _check_alike("optimizer.param_groups", _comparable(saved["param_groups"]), _comparable(here["param_groups"]))
    parameters = [parameter for group in trainer.optimizer.param_groups for parameter in group["params"]]
    if not isinstance(saved["state"], dict):
        raise ValueError("'optimizer.state' is not one entry for each parameter")
    for number, state in saved["state"].items():
        if type(number) is not int or not 0 <= number < len(parameters) or not isinstance(state, dict):
            raise ValueError(f"'optimizer.state' has an entry {number!r:.40}, which is of no parameter")
        place = f"optimizer.state.{number}"
        if refused := not_finite({f"{place}.{name}": value for name, value in state.items()}):
            raise ValueError(refused)
        for name, value in state.items():
            fits = not isinstance(value, Tensor) or value.numel() == 1 or value.shape == parameters[number].shape
            if own and not fits:
                shapes = f"{tuple(value.shape)}, not {tuple(parameters[number].shape)}"
                raise ValueError(f"{place}.{name} is of shape {shapes}")


def _comparable(groups: Any) -> Any:
    """Groups of parameters without what is a tensor in one run and None in another."""
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ValueError("'optimizer.param_groups' is no list of groups")
    return [{name: value for name, value in group.items() if name not in ("mask", "kinds")} for group in groups]


def _check_metrics(saved: Any, epochs: int) -> None:
    if not isinstance(saved, list) or len(saved) > epochs:
        raise ValueError(f"'metrics' does not hold up to {epochs} epochs")
    for number, record in enumerate(saved, 1):
        if wrong := complaint(record, {"epoch": COUNT}, OF_EPOCHS):
            raise ValueError(f"the metrics of epoch {number}: the record {wrong}")
        if record["epoch"] != number:
            raise ValueError(f"the metrics of epoch {number} are of epoch {record['epoch']}")
