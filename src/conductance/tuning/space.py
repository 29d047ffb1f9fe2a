"""What is searched: options of a run, each with its range."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from conductance.errors import InputError, UnknownNameError
from conductance.runs import RunConfig

if TYPE_CHECKING:
    from optuna import Trial

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER})(:log)?")
FIXED = ("name", "seed", "data.dataset", "data.validation_images")
"""Options that are the same for all trials, so that these can be compared."""


@dataclass(frozen=True)
class Choice:
    """An option and what it may be.

    Attributes:
        field: the option as in a config, such as ``optimizer.learning_rate``.
        low: of a range.
        high: of a range, which includes it.
        log: whether the range is searched on a logarithmic scale.
        values: those to choose from, where there is no range.
    """

    field: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    values: tuple[Any, ...] = ()

    def suggest(self, trial: "Trial") -> Any:
        """A value for a trial."""
        if self.low is None or self.high is None:
            return trial.suggest_categorical(self.field, self.values)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.field, self.low, self.high, log=self.log)
        return trial.suggest_float(self.field, self.low, self.high, log=self.log)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that all others lie between; or all of them."""
        return self.values or (self.low, self.high)

    def __str__(self) -> str:
        name = self.field.replace("_", "-")
        if self.values:
            return f"{name}={','.join(map(str, self.values))}"
        return f"{name}={self.low:g}:{self.high:g}{':log' if self.log else ''}"


def default_choices(config: RunConfig) -> list[Choice]:
    """Both learning rates, from a tenth of the config's to ten times as much."""
    rates = ("optimizer.learning_rate", "optimizer.readout_learning_rate")
    return [Choice(rate, _value(config, rate) / 10, _value(config, rate) * 10, log=True) for rate in rates]


def read_choices(texts: Iterable[str], config: RunConfig) -> list[Choice]:
    """Choices as they are written on the command line.

    >>> [str(choice) for choice in read_choices(["optimizer.learning-rate=0.01:1:log"], RunConfig("a"))]
    ['optimizer.learning-rate=0.01:1:log']

    Args:
        texts: ``NAME=LOW:HIGH``, ``NAME=LOW:HIGH:log`` or ``NAME=A,B,C`` each.
        config: the run whose options these are.

    Raises:
        UnknownNameError: a run has no such option.
        InputError: the range is none, or the config cannot have one of its ends.
    """
    choices = [_read(text) for text in texts]
    for choice in choices:
        for value in choice.ends:
            with_values(config, {choice.field: value})
    if len({choice.field for choice in choices}) < len(choices):
        raise InputError("search: an option is given twice; give each once")
    return choices


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The config with these options.

    Raises:
        InputError: they do not fit together.
    """
    for field, value in values.items():
        part, _, name = field.rpartition(".")
        changes: dict[str, Any] = {name: value}
        if part:
            changes = {part: replace(getattr(config, part), **changes)}
        config = replace(config, **changes)
    return config


def _value(config: RunConfig, field: str) -> Any:
    for name in field.split("."):
        config = getattr(config, name)
    return config


def _read(text: str) -> Choice:
    name, _, range_ = text.partition("=")
    kinds = _kinds()
    field = name.strip().removeprefix("--").replace("-", "_")
    if field not in kinds:
        raise UnknownNameError("option to search", name, (known.replace("_", "-") for known in kinds))
    kind = kinds[field]
    if match := RANGE.fullmatch(range_.strip()):
        if not {int, float} & kind:
            raise InputError(f"search: {name} is no number; write {name}=A,B,C")
        number = float if float in kind else int
        try:
            low, high = number(match[1]), number(match[2])
        except ValueError:
            raise InputError(f"search: {text!r}: {name} is a whole number") from None
        if not low < high or (match[3] and low <= 0):
            raise InputError(f"search: {text!r}: the range must go up{', from above 0' if match[3] else ''}")
        return Choice(field, low, high, bool(match[3]))
    values = tuple(_parsed(word.strip(), kind, text) for word in range_.split(",") if word.strip())
    if len(set(values)) < 2:
        raise InputError(f"search: {text!r} leaves no choice; write {name}=LOW:HIGH, {name}=LOW:HIGH:log or {name}=A,B")
    return Choice(field, values=values)


def _parsed(word: str, kind: set[Any], text: str) -> Any:
    if word == "None" and type(None) in kind:
        return None
    if bool in kind:
        if word.lower() in ("true", "false"):
            return word.lower() == "true"
        raise InputError(f"search: {text!r}: write True or False")
    for number in (int, float):
        if number in kind:
            try:
                return number(word)
            except ValueError:
                continue
    if str in kind:
        return word
    raise InputError(f"search: {text!r}: {word} is no value of this option")


def _kinds() -> dict[str, set[Any]]:
    """The options that can be searched, each with the types of its values."""
    found = {}
    for field, kind in _fields(RunConfig):
        kinds = {str if get_origin(each) is Literal else each for each in _members(kind)}
        if field not in FIXED and kinds <= {bool, int, float, str, type(None)}:
            found[field] = kinds
    return found


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if isinstance(kind, UnionType) or str(kind).startswith("typing.Optional") else (kind,)


def _fields(kind: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    types = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(types[field.name]):
            yield from _fields(types[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", types[field.name]
