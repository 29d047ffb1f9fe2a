"""Which layers of a network are membranes, which are synapses between them, and which parts are circuits."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from conductance.biophysics._checks import refuse_bad_conductance, refuse_where
from conductance.biophysics.recurrent_layers import WiredRNN
from conductance.biophysics.wiring import WiredModule, Wiring
from conductance.data import Preprocessing
from conductance.errors import InputError
from conductance.kernels import SMALLEST_LEAK
from conductance.nn import CWARNN, ConductanceLayer, GapJunction, LateralConv2d, LateralLinear
from conductance.nn.held import HeldLayer


@dataclass(frozen=True)
class CircuitPart:
    """A circuit within a network.

    Attributes:
        name: in the network, "" where it is all of it.
        place: the module of the network that it is.
        module: the same, with its wiring.
        wiring: of the module.
    """

    name: str
    place: nn.Module
    module: WiredModule
    wiring: Wiring

    def name_of(self, neurons: str) -> str:
        """The name that an input or population of the circuit has in the network."""
        return _within(self.name, neurons)

    @property
    def capacitances(self) -> dict[str, Tensor]:
        """C of each unit, in the layer's own unit of conductance times ms, by the population's name in the network."""
        populations = self.wiring.populations.items()
        return {self.name_of(name): each.capacitance for name, each in populations if each.capacitance is not None}


@dataclass
class Parts:
    """What a network is made of, by name.

    Attributes:
        layers: those of membranes.
        synapses: those of synapses alone.
        circuits: whose populations are among the layers.
    """

    layers: dict[str, ConductanceLayer] = field(default_factory=dict)
    synapses: dict[str, ConductanceLayer] = field(default_factory=dict)
    circuits: list[CircuitPart] = field(default_factory=list)

    def add(self, name: str, part: nn.Module, step_duration: float) -> None:
        """Add a part that has parameters or buffers.

        Args:
            name: in the network.
            part: the module.
            step_duration: what a time step of a recurrent layer lasts, in ms.

        Raises:
            InputError: it is neither membranes nor synapses, or is there already.
        """
        if isinstance(part, (WiredModule, CWARNN)):
            self._add_circuit(name, part, step_duration)
        elif isinstance(part, ConductanceLayer):
            self._add_layer(name, part)
        elif not isinstance(part, (GapJunction, Preprocessing)):
            raise InputError(
                f"layer {name or 'of the network'} is {type(part).__name__}, which is no membrane: hidden layers must "
                "be conductance layers (CWALinear, CWAConv2d, ...) as the family cwa has them; only a Linear readout "
                "may come last"
            )

    def _add_layer(self, name: str, part: ConductanceLayer) -> None:
        kind = type(part).__name__
        if isinstance(part, HeldLayer):
            raise InputError(
                f"layer {name or 'of the network'} is a {kind}, which runs within a circuit or a recurrent layer "
                "(CWARNN); give that"
            )
        if any(part is other for other in (self.layers | self.synapses).values()):
            raise InputError(f"layer {name} is a {kind} that is used twice; each use would be membranes of its own")
        (self.layers if part.average else self.synapses)[name] = part
        if isinstance(part, (LateralLinear, LateralConv2d)) and part.slices:
            self.layers[_within(name, "interneurons")] = part.interneurons
            self.synapses[_within(name, "feedback")] = part.feedback

    def _add_circuit(self, name: str, part: WiredModule | CWARNN, step_duration: float) -> None:
        if any(part is other.place for other in self.circuits):
            raise InputError(f"circuit {name} is used twice; each use would be membranes of its own")
        module = part if isinstance(part, WiredModule) else WiredRNN(part, step_duration)
        circuit = CircuitPart(name, part, module, module.wiring())
        self.circuits.append(circuit)
        for population, wired in circuit.wiring.populations.items():
            self.layers[circuit.name_of(population)] = wired.layer


def find_parts(model: nn.Module, step_duration: float) -> Parts:
    """What a network is made of. An affine readout as its last part is none of it.

    Args:
        model: the network.
        step_duration: what a time step of a recurrent layer lasts, in ms.

    Raises:
        InputError: as `Parts.add` raises; there are no membranes; a conductance is negative or not finite, or a unit
            has none at all.
    """
    with_state = dict(_with_state(model))
    names = list(with_state)
    if names and isinstance(with_state[names[-1]], nn.Linear):
        del with_state[names[-1]]
    parts = Parts()
    for name, part in with_state.items():
        parts.add(name, part, step_duration)
    if not parts.layers:
        raise InputError(
            f"{type(model).__name__} has no conductance layer with an average (average=True), so it has no membranes"
        )
    for name, layer in (parts.layers | parts.synapses).items():
        _check_conductances(name, layer)
    for name, layer in parts.layers.items():
        _check_totals(name, layer)
    return parts


def _with_state(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Circuits, conductance layers, and every other module with parameters or buffers of its own."""
    if isinstance(module, WiredModule):
        yield name, module
        if module.readout is not None:
            yield from _with_state(module.readout, _within(name, "readout"))
        return
    if isinstance(module, CWARNN):
        yield name, module
        return
    own = [*module._parameters.values(), *module._buffers.values()]
    if isinstance(module, ConductanceLayer) or any(tensor is not None for tensor in own):
        yield name, module
        return
    for child, part in module._modules.items():
        if part is not None:
            yield from _with_state(part, _within(name, child))


def _within(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def all_open(layer: ConductanceLayer) -> Tensor:
    """The conductance of each unit with all of its synapses open, (out,)."""
    return (layer.conductance.flatten(1).sum(1) + layer.resting_conductance).detach()


def _check_conductances(name: str, layer: ConductanceLayer) -> None:
    refuse_bad_conductance(layer.conductance.detach(), f"conductance of layer {name}")
    refuse_bad_conductance(layer.resting_conductance.detach(), f"resting_conductance of layer {name}")


def _check_totals(name: str, layer: ConductanceLayer) -> None:
    total = all_open(layer)
    # a leak of 0 is held as SMALLEST_LEAK
    refuse_where(
        total <= 2 * SMALLEST_LEAK,
        total,
        f"total conductance of layer {name}, unit ",
        "a membrane without conductance has no potential: give the unit a resting_conductance above 0",
    )
