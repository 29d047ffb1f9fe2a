"""Several optimizers that step as one."""

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer

from conductance.optim.rule import Rule


class CombinedOptimizer(Rule):
    """Optimizers of different parameters under one roof: one ``step``, one ``state_dict``, all groups to schedule.

    Args:
        parts: optimizers that share no parameter.

    Raises:
        ValueError: two of them share one.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__(self._groups(), {})

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "parts": self.parts}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Further parameters, which move as those of the last part do."""
        if not any(param_group is group for group in self._groups()):
            self.parts[-1].add_param_group(param_group)
        super().add_param_group(param_group)

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
            ValueError: another number of parts, or of parameters in one of them; nothing is loaded then.
        """
        states = state_dict.get("parts", [])
        if len(states) != len(self.parts):
            raise ValueError(f"the state has {len(states)} optimizers, here are {len(self.parts)}")
        for number, (part, state) in enumerate(zip(self.parts, states, strict=True), start=1):
            sizes, wanted = _group_sizes(state["param_groups"]), _group_sizes(part.param_groups)
            if sizes != wanted:
                raise ValueError(f"optimizer {number} has groups of {wanted} parameters, in the state of {sizes}")
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
        self.param_groups = self._groups()  # each part has made its groups anew


def _group_sizes(groups: Sequence[dict[str, Any]]) -> list[int]:
    return [len(group["params"]) for group in groups]
