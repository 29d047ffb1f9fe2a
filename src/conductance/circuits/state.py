"""What a circuit remembers from one time slice to the next, and what happened in a run."""

from typing import NamedTuple

from torch import Tensor

from conductance.errors import InputError
from conductance.nn.unroll import detached


class State(NamedTuple):
    """What one time slice hands to the next.

    Attributes:
        sent: what each population's and input's synapses were opened to, (N, units), the latest slice first.
        potential: V of the populations whose membranes take time, (N, units), in [-1, 1].
    """

    sent: dict[str, tuple[Tensor, ...]]
    potential: dict[str, Tensor]

    def detach(self) -> "State":
        """The same values, without the history of their gradients."""
        return detached(self)


class Activity(NamedTuple):
    """What happened in a run.

    Attributes:
        output: what the circuit returns.
        shown: what each input sent, (N, slices, units), in [0, 1].
        sent: of each population, likewise.
        potential: of the populations whose membranes take time, likewise, in [-1, 1].
        state: after the last slice; another run can go on from it.
    """

    output: Tensor
    shown: dict[str, Tensor]
    sent: dict[str, Tensor]
    potential: dict[str, Tensor]
    state: State


def begun(state: State | None, silence: State) -> State:
    """The state to begin with: the one given, or silence.

    Raises:
        InputError: it is no state of the same circuit and number of samples as ``silence``.
    """
    if state is None:
        return silence
    if not isinstance(state, State):
        raise InputError(f"state={type(state).__name__}; give the state of an earlier run, or leave it out")
    given, known = _shapes(state), _shapes(silence)
    for name in sorted({*given, *known}):
        if given.get(name) != known.get(name):
            raise InputError(
                f"the state has {name} of shape {given.get(name)}, but these inputs need {known.get(name)}; give a "
                "state of the same circuit and number of samples"
            )
    return state


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    sent = {f"sent[{name!r}]": (len(history), *history[0].shape) for name, history in state.sent.items()}
    return {**sent, **{f"potential[{name!r}]": tuple(V.shape) for name, V in state.potential.items()}}
