"""How much memory is free, and one line for what would take more."""

import os
import resource
from pathlib import Path

import torch

from conductance.errors import ConductanceError

WORTH_ASKING = 2**26  # bytes; what is smaller than this is made without looking
_CGROUPS = Path("/sys/fs/cgroup")
_OF_THIS_PROCESS = Path("/proc/self/cgroup")


class NotEnoughMemoryError(ConductanceError, MemoryError):
    """Something would take more memory than is free; nothing has been made of it yet."""


def require_memory(needed: int, what: str, remedy: str, device: torch.device | str | None = None) -> None:
    """Refuse what does not fit, before it is made.

    Args:
        needed: bytes, beyond what is taken already.
        what: what they are for: the subject of a sentence.
        remedy: how to need less.
        device: where; the processor's memory by default. On the meta device everything fits.

    Raises:
        NotEnoughMemoryError: less is free. Where nobody can say what is, everything is accepted.
    """
    if needed < WORTH_ASKING:
        return
    device = torch.device(device or "cpu")
    free = free_memory(device)
    if free is not None and needed > free:
        raise NotEnoughMemoryError(
            f"{what} takes about {in_bytes(needed)}, but {in_bytes(free)} of memory are free on {device.type}; {remedy}"
        )


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process may still take on a device; None where there is no limit or nobody can say.

    On a processor it is the least of what the system has, what its control groups leave (containers, Slurm), and what
    ``ulimit -v`` leaves.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device.type != "cpu":
        return None
    known = [each for each in (_of_the_system(), _of_the_address_space(), *_of_control_groups()) if each is not None]
    return max(0, min(known)) if known else None


def in_bytes(size: float) -> str:
    """A number of bytes for people.

    >>> in_bytes(3.2e12)
    '3.2 TB'
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.0f} PB" if size < 10**6 else f"{size:.1e} PB"


def _of_the_system() -> int | None:
    available = _fields(Path("/proc/meminfo")).get("MemAvailable:")
    if available is not None:
        return available * 1024
    try:  # not Linux: what is built in, half of it for others
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return None


def _of_the_address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = _fields(Path("/proc/self/status")).get("VmSize:")
    return None if limit == resource.RLIM_INFINITY or taken is None else limit - taken * 1024


def _of_control_groups() -> list[int]:
    """What this process's groups, and those that these are in, still allow; the files cached for them may go."""
    left: list[int] = []
    try:
        lines = _OF_THIS_PROCESS.read_text().splitlines()
    except OSError:
        return left
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = _CGROUPS / controllers
            here = root / path.lstrip("/")
            left += [free for group in (here, *here.parents) if group.is_relative_to(root) and (free := _left(group))]
    return left


def _left(group: Path) -> int | None:
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, taken = int((group / limit).read_text()), int((group / used).read_text())
        except (OSError, ValueError):  # there is no such file, or it says "max"
            continue
        return max(1, most - taken + _fields(group / "memory.stat").get(cached, 0))
    return None


def _fields(file: Path) -> dict[str, int]:
    """The numbers that a file of the kernel names, one a line."""
    try:
        words = (line.split() for line in file.read_text().splitlines())
        return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdigit()}
    except OSError:
        return {}
