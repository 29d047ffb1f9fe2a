"""Where a result comes from: versions, hardware, commit, command."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import conductance
from conductance.printable import printable


def versions() -> dict[str, str]:
    """Versions of the packages that determine the numbers."""
    import accelerate
    import numpy

    return {
        "conductance": conductance.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "accelerate": accelerate.__version__,
        "python": platform.python_version(),
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """The device, processor, threads and system of this process."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": _processor(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def git_commit() -> str | None:
    """The commit of the running source, with ``-dirty`` if files were changed; None outside its checkout."""
    source = Path(conductance.__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # not the checkout of a project that installed this package
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def command_line() -> str:
    """The command as it was typed, without the program's folder; what cannot be shown is spelt out."""
    return printable(" ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
