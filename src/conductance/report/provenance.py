"""Where each number comes from: commands, hardware, versions, commits."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conductance.fields import flat_fields
from conductance.report.groups import Group
from conductance.report.records import Record

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
        varying=_varying_settings([run.config for run in group.finished]),
    )


def _command(value: Any) -> str:
    return shlex.join(map(str, value)) if isinstance(value, list) else _words(value)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items() if item is not None)
    return UNRECORDED if value in (None, "") else str(value)


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _varying_settings(configs: list[Record]) -> list[str]:
    """Settings other than the seed on which the runs disagree, so that no mean hides them."""
    flat = [flat_fields(config) for config in configs]
    keys = _distinct(key for settings in flat for key in settings if key != "seed")
    values = {key: _distinct(_words(settings.get(key)) for settings in flat) for key in keys}
    return [f"{key}: {' / '.join(variants)}" for key, variants in values.items() if len(variants) > 1]
