"""What a layer's parameters mean, saved beside them: form, valences, doubled input, kind of leak.

Two layers may have parameters of one shape that mean different conductances. So each layer's state dict says what its
own mean, as JSON in a tensor of bytes, which every file format of weights can hold.
"""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from conductance.reading import parse_json

FORMAT = 1

# How each part is named to a person, and the remedy.
_PARTS = {
    "layer": ("the kind of layer", "make the layer of the kind that was saved"),
    "nonnegative": (
        "the form of its conductances",
        "make the layer with that form, load, and copy other.set_conductance(layer.conductance)",
    ),
    "valence": ("the valences of its presynaptic channels", "make the layer with the valences that were saved"),
    "doubled_input": ("whether it doubles its input", "make the layer as it was saved"),
    "pooled_interneuron": ("whether it has a pooled interneuron", "make the layer as it was saved"),
    "learn_resting": ("whether it learns its leak", "make the layer as it was saved"),
}


def encode(description: Mapping[str, Any]) -> Tensor:
    """A description as bytes in a tensor."""
    return torch.tensor(list(json.dumps({"format": FORMAT, **description}).encode()), dtype=torch.uint8)


def decode(state: Tensor) -> dict[str, Any]:
    """What `encode` was given.

    Raises:
        ValueError: it is none of `encode`'s, or a later version's.
    """
    found = parse_json(bytes(state.cpu().tolist()).decode())
    if not isinstance(found, dict) or "format" not in found:
        raise ValueError("it does not describe a layer")
    if found.pop("format") != FORMAT:
        raise ValueError("a later version of conductance wrote it; update the package")
    return found


def difference(name: str, saved: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """One line about the first thing that a saved layer and this one do not share, None where there is none."""
    for part, (what, remedy) in _PARTS.items():
        old, new = saved.get(part), here.get(part)
        if old != new:
            here_and_there = f"saved: {_shown(old)}; here: {_shown(new)}"
            return f"{name or 'the layer'}: {what} differs ({here_and_there}); {remedy}"
    return None


def _shown(value: Any) -> str:
    if isinstance(value, list):  # runs of valences
        runs = ", ".join(f"{number} at {valence:+g}" for valence, number in value[:4])
        return runs + (", ..." if len(value) > 4 else "")
    return str(value)
