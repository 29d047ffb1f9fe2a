"""What the check of a GPU has found, as JSON and as a page."""

import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import conductance
from conductance.bench.rounds import BASELINE, Timing
from conductance.bench.table import TIMING_COLUMNS, timing_rows

GOALS = "Goals: a step or an epoch of CWA at most 0.97 of affine + BatchNorm's; an epoch at most 15 s on an H100."


@dataclass
class Part:
    """One part of the check: whether it is done, and its results."""

    state: str = "begun"
    seconds: float = 0.0
    results: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Record:
    """Where the check ran, and all parts so far."""

    where: dict[str, Any]
    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    def of(cls, device: torch.device) -> "Record":
        """An empty one for this machine."""
        return cls(_where(device))

    def begin(self, name: str) -> list[dict[str, Any]]:
        """The list that takes the part's results."""
        self.parts[name] = Part()
        return self.parts[name].results

    def end(self, name: str, state: str, seconds: float) -> None:
        """The part is over."""
        self.parts[name].state, self.parts[name].seconds = state, seconds

    @property
    def failed(self) -> bool:
        """Whether a part, a test, or the agreement with float64 has failed, or a step waits."""
        results = [result for part in self.parts.values() for result in part.results]
        bad = any(
            result.get("status", "0") != "0" or not result.get("agrees", True) or result.get("waits")
            for result in results
        )
        return bad or any(part.state.startswith("failed") for part in self.parts.values())


def _where(device: torch.device) -> dict[str, Any]:
    where: dict[str, Any] = {
        "device": device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "conductance": conductance.__version__,
        "commit": _commit(),
    }
    try:
        import triton

        where["triton"] = triton.__version__
    except ImportError:
        where["triton"] = None
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        where |= {
            "device": properties.name,
            "memory": f"{properties.total_memory / 2**30:.0f} GiB",
            "multiprocessors": properties.multi_processor_count,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return where


def _commit() -> str | None:
    command = ["git", "-C", str(Path(conductance.__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def write(record: Record, folder: Path) -> None:
    """``gpu.json`` and ``gpu.md``, each replaced as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("gpu.json", json.dumps(asdict(record), indent=1) + "\n"), ("gpu.md", page(record))):
        half = folder / f".{name}"
        half.write_text(text)
        half.replace(folder / name)


def page(record: Record) -> str:
    """Everything, part by part."""
    where = ", ".join(f"{name} {value}" for name, value in record.where.items())
    states = [(name, part.state, f"{part.seconds:.0f} s") for name, part in record.parts.items()]
    lines = ["# On a GPU", "", f"Written by `make gpu`. {where}.", "", GOALS, "", table(("part", "", ""), states)]
    for name, part in record.parts.items():
        if part.results:
            lines += [f"## {name[0].upper()}{name[1:]}", "", _shown(name, part.results)]
    return "\n".join(lines)


def _shown(name: str, results: Sequence[dict[str, Any]]) -> str:
    if "skipped" in results[0]:
        return str(results[0]["skipped"]) + "\n"
    if "contender" in results[0]:
        return table(TIMING_COLUMNS, timing_rows([Timing(**result) for result in results]))
    if name.startswith("epoch"):
        results = _with_ratio(results)
    if "tests" in results[0]:
        ends = [f"```\n{result['end']}\n```\n" for result in results if result["end"]]
        results = [{key: result[key] for key in ("tests", "status", "summary")} for result in results]
        return "\n".join([_plain(results), *ends])
    return _plain(results)


def _with_ratio(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    baseline = {result["family"]: result["seconds"] for result in results}.get(BASELINE)
    return [{**result, "ratio": result["seconds"] / baseline if baseline else None} for result in results]


def _plain(results: Sequence[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for result in results for key in result))
    return table(columns, ([_text(result.get(column, "")) for column in columns] for result in results))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
