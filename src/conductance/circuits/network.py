"""A circuit that has been built: a module that runs its populations slice by slice."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from conductance.biophysics import PotentialRange
from conductance.biophysics.wiring import Afferent, WiredModule, WiredPopulation, Wiring
from conductance.checked import checked
from conductance.circuits import order
from conductance.circuits.coding import InputCode
from conductance.circuits.places import Places
from conductance.circuits.population import Population
from conductance.circuits.state import Activity, State, begun
from conductance.circuits.synapses import PopulationSynapses
from conductance.errors import InputError, UnknownNameError
from conductance.nn.held import holding
from conductance.nn.precision import require_floats
from conductance.nn.recurrence import Loop, RecurrentModule, SliceMap, spread_samples
from conductance.nn.unroll import unroll


class Block(NamedTuple):
    """A projection's place among the presynaptic channels of its target, and whether its conductance was given."""

    source: str
    delay: int
    start: int
    stop: int
    given: bool = False


class CircuitNetwork(WiredModule, RecurrentModule):
    """A circuit as a network. `Circuit.build` makes it.

    Input ``(N, *shape)`` in [0, 1] is shown in every slice; ``(N, time, *shape)`` is a sequence, each element of which
    is shown for ``slices`` slices. A circuit with several inputs takes them in the order of their definition. The
    output is the readout of the output populations' open probabilities in the last slice, (N, ...), or at the end of
    each element of a sequence, (N, time, ...).
    """

    def __init__(
        self,
        inputs: Mapping[str, InputCode],
        populations: Mapping[str, Population],
        blocks: Mapping[str, Sequence[Block]],
        valences: Mapping[str, Tensor],
        outputs: Sequence[str],
        readout: nn.Module | None,
        potentials: PotentialRange,
        *,
        slices: int,
        slice_duration: float,
        tolerance: float | None,
        truncation: int | None,
        checkpoint: int | None,
        free_leaks: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.inputs = dict(inputs)
        self.populations = nn.ModuleDict(populations)
        self.blocks = {name: tuple(found) for name, found in blocks.items()}
        self._valences = dict(valences)
        self.outputs = tuple(outputs)
        self.free_leaks = frozenset(free_leaks)  # of the populations whose leak nobody chose
        self.readout = readout
        self.potentials, self.slice_duration = potentials, slice_duration
        self.slices, self.tolerance, self.truncation, self.checkpoint = slices, tolerance, truncation, checkpoint
        self._depth = dict.fromkeys((*self.inputs, *self.populations), 0)
        for block in (block for found in blocks.values() for block in found):
            self._depth[block.source] = max(self._depth[block.source], block.delay)
        for name, population in populations.items():
            if population.synapse_memory or tolerance is not None:
                self._depth[name] = max(1, self._depth[name])

    # Running ----------------------------------------------------------------------------------------------------------

    def forward(self, *inputs: Tensor, state: State | None = None) -> Tensor:
        """The output, from the state of an earlier run or from silence.

        Raises:
            InputError: an input is missing, or has another shape.
        """
        coded, length = self.encode(*inputs)
        state = begun(state, self.silence(coded))
        if length is None:
            _, output = self._settle(coded, state)
            return self._read(output)
        _, outputs = self._follow(coded, length, state)
        return self._read(torch.stack(outputs, 1))

    def run(self, *inputs: Tensor, state: State | None = None) -> Activity:
        """Run and keep what every population did in each slice.

        Raises:
            InputError: as for a call.
        """
        coded, length = self.encode(*inputs)
        state = begun(state, self.silence(coded))
        kept: list[tuple[dict[str, Tensor], dict[str, Tensor], State]] = []
        for element in range(1 if length is None else length):
            shown = coded if length is None else {name: values[:, element] for name, values in coded.items()}
            for _ in range(self.slices):
                before = state
                state, sent = self.step(shown, state)
                kept.append((shown, sent, state))
                if length is None and self._settled(sent, before):
                    break
        inputs_sent = {name: torch.stack([each[name] for each, _, _ in kept], 1) for name in self.inputs}
        sent = {name: torch.stack([each[name] for _, each, _ in kept], 1) for name in self.populations}
        potential = {name: torch.stack([each.potential[name] for _, _, each in kept], 1) for name in state.potential}
        reading = torch.cat([sent[name] for name in self.outputs], -1)
        reading = reading[:, -1] if length is None else reading[:, self.slices - 1 :: self.slices]
        return Activity(self._read(reading), inputs_sent, sent, potential, state)

    def step(self, shown: Mapping[str, Tensor], state: State) -> tuple[State, dict[str, Tensor]]:
        """One time slice: the next state, and what every population sends.

        Args:
            shown: what each input sends, (N, units).
            state: of the slice before.
        """
        sent, potential = dict(shown), {}
        for name, population in self.populations.items():
            parts = [
                sent[block.source] if block.delay == 0 else state.sent[block.source][block.delay - 1]
                for block in self.blocks[name]
            ]
            p = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
            before = state.sent[name][0] if self._depth[name] else None
            sent[name], V = population(p, before, state.potential.get(name))
            if V is not None:
                potential[name] = V
        history = {name: (sent[name], *state.sent[name])[:depth] for name, depth in self._depth.items() if depth}
        return State(history, potential), {name: sent[name] for name in self.populations}

    def silence(self, shown: Mapping[str, Tensor]) -> State:
        """The state in which nothing has been sent and all membranes are at rest."""
        like = next(iter(shown.values()))
        units = {name: values.shape[-1] for name, values in shown.items()}
        populations = self._populations()
        units |= {name: population.places.units for name, population in populations.items()}
        sent = {
            name: (like.new_zeros(like.shape[0], units[name]),) * depth for name, depth in self._depth.items() if depth
        }
        rest = {
            name: population.at_rest(like.shape[0], like)
            for name, population in populations.items()
            if population.leaky
        }
        return State(sent, rest)

    def _settle(self, shown: Mapping[str, Tensor], state: State) -> tuple[State, Tensor]:
        """As many slices as there are, or until nothing changes more than the tolerance."""
        if self.tolerance is None:
            state, outputs = unroll(
                lambda _, state: self._output(*self.step(shown, state)),
                self.slices,
                state,
                truncation=self.truncation,
                checkpoint=self.checkpoint,
                around=self._holding,
            )
            return state, outputs[-1]
        with self._holding():
            for _ in range(self.slices):
                before = state
                state, sent = self.step(shown, state)
                if self._settled(sent, before):
                    break
        return self._output(state, sent)

    def _follow(self, shown: Mapping[str, Tensor], length: int, state: State) -> tuple[State, list[Tensor]]:
        def element(time: int, state: State) -> tuple[State, Tensor]:
            now = {name: values[:, time] for name, values in shown.items()}
            for _ in range(self.slices):
                state, sent = self.step(now, state)
            return self._output(state, sent)

        return unroll(
            element,
            length,
            state,
            truncation=self.truncation,
            checkpoint=self.checkpoint,
            around=self._holding,
        )

    def _output(self, state: State, sent: Mapping[str, Tensor]) -> tuple[State, Tensor]:
        parts = [sent[name] for name in self.outputs]
        return state, parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _read(self, output: Tensor) -> Tensor:
        return output if self.readout is None else self.readout(output)

    def _settled(self, sent: Mapping[str, Tensor], before: State) -> bool:
        if self.tolerance is None:
            return False
        changes = [(sent[name] - before.sent[name][0]).detach().abs().amax() for name in self.populations]
        return bool(torch.stack(changes).amax() <= self.tolerance)

    def encode(self, *inputs: Tensor) -> tuple[dict[str, Tensor], int | None]:
        """What each input's neurons send, (N, units), and None; or (N, time, units), and the length of the sequence.

        Raises:
            InputError: an input is missing, or has another shape.
        """
        if len(inputs) != len(self.inputs):
            raise InputError(
                f"the circuit was given {len(inputs)} input(s) but has {len(self.inputs)}: {', '.join(self.inputs)}"
            )
        like = next(iter(self._synapses().values())).g
        for name, values in zip(self.inputs, inputs, strict=True):
            require_floats(f"input {name!r}", values, like)
        flat = {
            name: code.flattened(name, values) for (name, code), values in zip(self.inputs.items(), inputs, strict=True)
        }
        lengths = {values.shape[1] for values in flat.values() if values.ndim == 3}
        if len(lengths) > 1:
            raise InputError(f"the inputs are sequences of different lengths ({sorted(lengths)}); give them one length")
        coded = {name: self.inputs[name].encode(values) for name, values in flat.items()}
        if not lengths:
            return coded, None
        length = lengths.pop()
        return {
            name: values if values.ndim == 3 else values[:, None].expand(-1, length, -1)
            for name, values in coded.items()
        }, length

    # As membranes -----------------------------------------------------------------------------------------------------

    def wiring(self) -> Wiring:
        """Inputs, populations and their projections, with delays and time constants in ms (`to_biophysical`)."""
        return Wiring(
            self.potentials,
            self._valences,
            tuple(self.inputs),
            {name: self._wired(name, population) for name, population in self._populations().items()},
            self.outputs,
            self.slices * self.slice_duration,
        )

    def _wired(self, name: str, population: Population) -> WiredPopulation:
        duration = self.slice_duration
        afferents = (Afferent(each.source, each.delay * duration, each.start, each.stop) for each in self.blocks[name])
        return WiredPopulation(
            population.synapses,
            population.shape,
            population.source_grid,
            tuple(afferents),
            population.capacitance.flatten() * duration if population.leaky else None,
            population.tau_synapse,
            (duration if population.leaky else "at once") if population.pooled_interneuron else None,
        )

    def lasting(self, output: Tensor, potentials: Mapping[str, Tensor], length: int) -> Tensor:
        """The outputs for a sequence at whose every element they are the same."""
        del potentials
        return output.unsqueeze(1).expand(-1, length, *output.shape[1:])

    def slice_map(self, *inputs: Tensor) -> SliceMap:
        """Its step from slice to slice for some of these inputs, each shown for ever.

        Raises:
            InputError: an input is missing, or has another shape.
        """
        coded, length = self.encode(*inputs)
        shown = {
            name: spread_samples(values if length is None else values.flatten(0, 1)) for name, values in coded.items()
        }
        loops = [
            Loop(population.synapses, self._closes_loop(name), name in self.free_leaks and not population.leaky)
            for name, population in self._populations().items()
        ]
        return SliceMap(self.silence(shown), lambda state: self.step(shown, state)[0], loops)

    def _closes_loop(self, target: str) -> Tensor:
        """Which presynaptic channels of a population come from where it sends to, and were drawn, not given."""
        edges = [(source, to) for source, to, _ in self.projections]
        beyond = order.reached([target], edges)
        channels = torch.zeros(self.blocks[target][-1].stop, dtype=torch.bool)
        for block in self.blocks[target]:
            channels[block.start : block.stop] = block.source in beyond and not block.given
        return channels

    # Looking and changing ---------------------------------------------------------------------------------------------

    @property
    def synapse_count(self) -> int:
        """How many synapses the circuit has; a shared kernel counts once."""
        return sum(synapses.synapse_count for synapses in self._synapses().values())

    @property
    def projections(self) -> list[tuple[str, str, int]]:
        """(source, target, delay) of every projection."""
        return [(block.source, target, block.delay) for target, found in self.blocks.items() for block in found]

    @checked
    def valence(self, name: str) -> Tensor:
        """What each neuron of an input or population is to others, (units,), in [-1, 1].

        Raises:
            UnknownNameError: there is no such name.
        """
        if name not in self._valences:
            raise UnknownNameError("population", name, self._valences)
        return self._valences[name]

    @checked
    def places(self, name: str) -> Places:
        """Where the neurons of an input or population are.

        Raises:
            UnknownNameError: there is no such name.
        """
        places = {each: code.places for each, code in self.inputs.items()}
        places |= {each: population.places for each, population in self._populations().items()}
        if name not in places:
            raise UnknownNameError("population", name, places)
        return places[name]

    @checked
    def conductance(self, source: str, target: str, delay: int | None = None) -> Tensor:
        """G of a projection, (target units, source units); ``(target channels, source channels, *kernel)`` if shared.

        Raises:
            UnknownNameError: there is no such projection.
        """
        block = self._block(source, target, delay)
        return self._synapses()[target].conductance[:, block.start : block.stop]

    @checked
    @torch.no_grad()
    def set_conductance(self, source: str, target: str, conductance: Tensor | float, delay: int | None = None) -> None:
        """Set G of a projection, plastic or not; where there is no synapse, none appears.

        Raises:
            UnknownNameError: there is no such projection.
            InputError: a shape that does not fit, or a value that is negative or not finite.
        """
        block, synapses = self._block(source, target, delay), self._synapses()[target]
        G = synapses.conductance.clone()
        part = G[:, block.start : block.stop]
        given = torch.as_tensor(conductance, dtype=G.dtype, device=G.device)
        try:
            part.copy_(given.expand_as(part))
        except RuntimeError:
            raise InputError(
                f"the projection {source} -> {target} has conductances of shape {tuple(part.shape)}, not "
                f"{tuple(given.shape)}"
            ) from None
        synapses.set_constant(G)

    def _populations(self) -> dict[str, Population]:
        return dict(self.populations.items())  # type: ignore[arg-type]

    def _holding(self) -> AbstractContextManager[None]:
        """Conductances are the same in all slices."""
        return holding(self._synapses().values())

    def _synapses(self) -> dict[str, PopulationSynapses]:
        return {name: population.synapses for name, population in self._populations().items()}

    def _block(self, source: str, target: str, delay: int | None) -> Block:
        if target not in self.blocks:
            raise UnknownNameError("population", target, self.blocks)
        found = [block for block in self.blocks[target] if block.source == source and delay in (None, block.delay)]
        if len(found) != 1:
            known = [f"{each} -> {to} (delay {slices})" for each, to, slices in self.projections]
            raise UnknownNameError(
                "projection", f"{source} -> {target}" + ("" if not found else " (which delay?)"), known
            )
        return found[0]

    def extra_repr(self) -> str:
        """Inputs, projections, outputs."""
        lines = [f"{name}: {code.places}" for name, code in self.inputs.items()]
        lines += [f"{source} -> {target}, delay {delay}" for source, target, delay in self.projections]
        return "\n".join([*lines, f"slices={self.slices}, outputs={', '.join(self.outputs)}"])
