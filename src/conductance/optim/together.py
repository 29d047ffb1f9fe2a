"""Several optimisers that step as one."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class Together(Optimizer):
    """Optimisers of different parameters under one roof: one ``step``, one ``state_dict``, all groups to schedule.

    Args:
        parts: optimisers that share no parameter.

    Raises:
        ValueError: two of them share one.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Let each part take its step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of each part, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            ValueError: another number of parts.
        """
        if len(state_dict["parts"]) != len(self.parts):
            raise ValueError(f"the state has {len(state_dict['parts'])} optimisers, here are {len(self.parts)}")
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = self._groups()  # each part has made its groups anew
