"""Where each number comes from: commands, hardware, versions, commits."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conductance.runs.fields import flat_fields
from conductance.runs.groups import Group

UNRECORDED = "not recorded"


@dataclass(frozen=True)
class Provenance:
    """How the finished runs of one configuration were made; a value that varied is listed once a variant."""

    group: Group
    commands: list[str]
    hardware: list[str]
    versions: list[str]
    commits: list[str]
    parameters: list[str]
    varying: list[str]


def provenance_of(group: Group) -> Provenance:
    """What the runs of `group` recorded about themselves."""

    def recorded(key: str) -> list[str]:
        return _distinct(_words(summary.get(key)) for summary in group.summaries)

    return Provenance(
        group=group,
        commands=_distinct(_command(summary.get("command")) for summary in group.summaries),
        hardware=recorded("hardware"),
        versions=recorded("versions"),
        commits=recorded("git_commit"),
        parameters=_distinct(f"{summary['parameters']:,}" for summary in group.summaries),
        varying=[f"{name}: {variants}" for name, variants in varying_settings(group).items()],
    )


def varying_settings(group: Group) -> dict[str, str]:
    """Settings other than the seed on which the finished runs disagree, so that no mean hides them.

    A run of an earlier version, which had no such setting yet, does not disagree on it.
    """
    flat = [flat_fields(run.config) for run in group.finished]
    names = _distinct(name for settings in flat for name in settings if name != "seed")
    values = {name: _distinct(_setting(settings[name]) for settings in flat if name in settings) for name in names}
    return {name: " / ".join(variants) for name, variants in values.items() if len(variants) > 1}


def _setting(value: Any) -> str:
    return "left out" if value is None else _words(value)


def _command(value: Any) -> str:
    return shlex.join(map(str, value)) if isinstance(value, list) else _words(value)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items() if item is not None)
    return UNRECORDED if value in (None, "") else str(value)


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
