"""Processes that are known by machine, number and time of birth, so that no later one is taken for them."""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Attributes:
        host: name of the machine.
        number: its process identifier.
        born: when it began, in the system's own words.
    """

    host: str
    number: int
    born: str

    @classmethod
    def of(cls, number: int | None = None) -> "Process":
        """A process of this machine; this one if no number is given."""
        number = os.getpid() if number is None else number
        return cls(socket.gethostname(), number, _born(number))

    @property
    def alive(self) -> bool:
        """Whether it still runs; False for one of another machine, where nobody can tell from here."""
        return self.host == socket.gethostname() and self.born != "" and _born(self.number) == self.born


def _born(number: int) -> str:
    """When the process began; an empty text where there is none, or where it has ended and nobody took note."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except OSError:
        if os.path.isdir("/proc/self"):
            return ""
    words = ["ps", "-o", "lstart=", "-p", str(number)]  # macOS has no /proc
    asked = subprocess.run(words, capture_output=True, text=True, check=False)
    return asked.stdout.strip()
