"""Several optimisers that step as one."""

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer

from conductance.optim.rule import Rule


class Together(Rule):
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

    def _advance(self) -> None:
        for part in self.parts:
            part.step()

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
