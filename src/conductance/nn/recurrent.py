"""Recurrent layers: units whose membranes average their input and what their own synapses sent a step before."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from conductance import functional, kernels
from conductance.checked import checked, require_counts
from conductance.errors import InputError
from conductance.functional import Activation, require_activation
from conductance.nn.base import check_pool, require_room
from conductance.nn.conductance import check_unit_valence
from conductance.nn.held import HeldLayer, holding
from conductance.nn.linear import CWALinear
from conductance.nn.precision import require_floats
from conductance.nn.recurrence import Loop, RecurrentModule, SliceMap, spread_samples
from conductance.nn.unroll import check_unrolling, unroll
from conductance.nonnegative import NonnegativeForm
from conductance.valence import Valences, excitatory_first

# C / G_r in time steps. A unit with its leak alone forgets in that time; open synapses make it about ten times faster.
# Chosen by measurement (docs/circuits.md).
TIME_CONSTANT = 30.0


class RecurrentSynapses(HeldLayer, CWALinear):
    """From the input and from the cell's own units to its units."""


class CWARNNCell(nn.Module):
    r"""One time step of units that average their input and each other, in place of ``torch.nn.RNNCell``.

    .. math::
        E'_i &= E_{r,i} + \sum_j G_{ij} \frac{1 + e_j}{2} p_j, \qquad
        I'_i = I_{r,i} + \sum_j G_{ij} \frac{1 - e_j}{2} p_j, \\
        V_i &\leftarrow z_i + (V_i - z_i)\, e^{-(E'_i + I'_i) / C_i}, \qquad
        z_i = \frac{E'_i - I'_i}{E'_i + I'_i},

    where j runs over the input and over the units themselves, whose open probabilities are :math:`p = \max(V, 0)` of
    the step before. This is the exact step of a membrane with capacitance C while its conductances stay as they are:
    the more of its synapses are open, the faster a unit forgets. So it gates its own memory, by its input.

    Input (N, input_size) or (input_size,) in [0, 1], and V (N, hidden_size) in [-1, 1]; output V.

    Args:
        input_size: number of input channels.
        hidden_size: number of units.
        doubled_input: read the input as an excitatory and an inhibitory copy (paper section 4.2), unless ``valence`` is
            given.
        valence: one value in [-1, 1] for each input channel, instead of a doubled input.
        unit_valence: one value in [-1, 1] for each unit; the first half excites by default.
        nonnegative: how conductances stay >= 0, as for `CWALinear`.
        resting_conductance, resting_potential, learn_resting: as for `CWALinear`.
        tau_membrane: C/G_r in time steps, a number or one for each unit. Longer sequences want more.
        learn_tau: let each unit learn its capacitance.
        pooled_interneuron: let one further neuron sit at the mean V of the units of the step before, and act back on
            all of them (`functional.pooled_conductances`).
        device, dtype: as in torch.

    Raises:
        InputError: a size, valence, resting term or time constant out of range.
    """

    @checked
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        doubled_input: bool = True,
        valence: Valences | None = None,
        unit_valence: Valences | None = None,
        nonnegative: NonnegativeForm = "clamped",
        resting_conductance: float | Tensor | None = None,
        resting_potential: float | Tensor = 0.0,
        learn_resting: bool = False,
        tau_membrane: float | Tensor = TIME_CONSTANT,
        learn_tau: bool = False,
        pooled_interneuron: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_counts(input_size=input_size, hidden_size=hidden_size)
        self.doubled_input = doubled_input and valence is None
        read = input_size * (1 + self.doubled_input) + hidden_size
        require_room(type(self).__name__, (hidden_size, read), read, device, dtype)  # before valences take any
        self.input_size, self.hidden_size = input_size, hidden_size
        self.pooled_interneuron = pooled_interneuron
        if pooled_interneuron:
            check_pool(hidden_size)
        self.unit_valence = check_unit_valence(unit_valence, hidden_size)
        from_input = excitatory_first(input_size) if valence is None else torch.as_tensor(valence).double().cpu()
        if from_input.shape != (input_size,):
            raise InputError(f"valence has shape {tuple(from_input.shape)}; give one for each of {input_size} channels")
        if self.doubled_input:  # the copies stand at the two ends, so that all that excites stands side by side
            ones = torch.ones(input_size, dtype=torch.float64, device="cpu")
            channels = torch.cat([ones, self.unit_valence, -ones])
        else:
            channels = torch.cat([from_input, self.unit_valence])
        self.synapses = RecurrentSynapses(
            len(channels),
            hidden_size,
            valence=channels,
            unit_valence=self.unit_valence,
            nonnegative=nonnegative,
            resting_conductance=resting_conductance,
            resting_potential=resting_potential,
            learn_resting=learn_resting,
            average=False,
            device=device,
            dtype=dtype,
        )
        self.synapses.pools_later = pooled_interneuron
        C = _time_constants(tau_membrane, hidden_size) * self.synapses.resting_conductance.detach().double().cpu()
        log_capacitance = C.log().to(self.synapses.g)
        if learn_tau:
            self.log_capacitance = nn.Parameter(log_capacitance)
        else:
            self.register_buffer("log_capacitance", log_capacitance)

    @property
    def capacitance(self) -> Tensor:
        """C of each unit, (units,), > 0, in units of conductance times steps."""
        return self.log_capacitance.exp()

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """V after one step; at rest before it where no state is given.

        Raises:
            InputError: the input or the state has another shape.
        """
        require_floats("the input", input, self.synapses.g)
        if not input.ndim or input.shape[-1] != self.input_size:
            raise InputError(f"the input has {input.shape[-1]} channels, but the cell reads {self.input_size}")
        V = self.at_rest(input) if hx is None else hx
        require_floats("the state", V, self.synapses.g)
        if V.shape != (*input.shape[:-1], self.hidden_size):
            expected = (*input.shape[:-1], self.hidden_size)
            raise InputError(f"the state has the shape {tuple(V.shape)}, but it must be {expected}")
        p = V.clamp(min=0)
        received = torch.cat([input, p, input] if self.doubled_input else [input, p], -1)
        both = kernels.dense(self.synapses(received), -1)
        if self.pooled_interneuron:
            both = both + functional.pooled_conductances(both, -1, V.mean(-1, keepdim=True))
        return functional.membrane_step(both, V, -1, self.capacitance)

    def at_rest(self, input: Tensor) -> Tensor:
        """V where no synapse is open, (N, units)."""
        return self.synapses.resting_potential.to(input.dtype).expand(*input.shape[:-1], -1)

    @property
    def own_channels(self) -> Tensor:
        """Which presynaptic channels are the cell's own units, bool."""
        channels = torch.zeros(self.synapses.g.shape[1], dtype=torch.bool)
        channels[self.input_size : self.input_size + self.hidden_size] = True
        return channels

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}{', pooled_interneuron=True' * self.pooled_interneuron}"


class CWARNN(RecurrentModule):
    r"""Layers of `CWARNNCell` over a sequence, with the interface of ``torch.nn.RNN``.

    Input (L, N, input_size), (N, L, input_size) with ``batch_first``, (L, input_size), or a ``PackedSequence``, in
    [0, 1]. Returns ``output, h_n``: the open probabilities p = max(V, 0) of the last layer at every step, of the same
    layout, and the membrane potentials V of every layer after the last step, (num_layers, N, hidden_size), which
    another call takes as its ``hx``.

    Args:
        input_size: number of input channels.
        hidden_size: number of units in each layer.
        num_layers: layers in series; each reads the units of the one before by their valences.
        batch_first: whether samples come before time.
        activation: "relu" for open probabilities, None for the membrane potentials in [-1, 1].
        truncation: let gradients go back through at most so many steps.
        checkpoint: keep only every so many steps' state for the backward pass and compute the rest again: less memory
            for about a third more time.

    All other arguments are those of `CWARNNCell`; ``doubled_input`` and ``valence`` are the first layer's.

    Raises:
        InputError: a number out of range.
    """

    @checked
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        activation: Activation | None = "relu",
        truncation: int | None = None,
        checkpoint: int | None = None,
        doubled_input: bool = True,
        valence: Valences | None = None,
        unit_valence: Valences | None = None,
        nonnegative: NonnegativeForm = "clamped",
        resting_conductance: float | Tensor | None = None,
        resting_potential: float | Tensor = 0.0,
        learn_resting: bool = False,
        tau_membrane: float | Tensor = TIME_CONSTANT,
        learn_tau: bool = False,
        pooled_interneuron: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not (isinstance(num_layers, int) and num_layers >= 1):
            raise InputError(f"num_layers={num_layers}: give a whole number, 1 or more")
        require_activation(activation)
        require_counts(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_unrolling(truncation, checkpoint)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.activation = batch_first, activation
        self.truncation, self.checkpoint = truncation, checkpoint
        require_room(type(self).__name__, (hidden_size, hidden_size), hidden_size, device, dtype)
        units = check_unit_valence(unit_valence, hidden_size)
        self.cells = nn.ModuleList(
            CWARNNCell(
                hidden_size if layer else input_size,
                hidden_size,
                doubled_input=doubled_input and not layer,
                valence=units if layer else valence,
                unit_valence=units,
                nonnegative=nonnegative,
                resting_conductance=resting_conductance,
                resting_potential=resting_potential,
                learn_resting=learn_resting,
                tau_membrane=tau_membrane,
                learn_tau=learn_tau,
                pooled_interneuron=pooled_interneuron,
                device=device,
                dtype=dtype,
            )
            for layer in range(num_layers)
        )

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """The output of every step, and the state after the last.

        Raises:
            InputError: the input or the state has another shape, or a packed sequence is out of order.
        """
        require_floats(
            "the input", input.data if isinstance(input, PackedSequence) else input, self._cells()[0].synapses.g
        )
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            layout = "(N, L, " if self.batch_first else "(L, N, "
            raise InputError(
                f"the input has the shape {tuple(input.shape)}; give {layout}{self.input_size}), or "
                f"(L, {self.input_size}) for one sequence"
            )
        batched = input.ndim == 3
        if not input.shape[1 if batched and self.batch_first else 0]:
            raise InputError(f"the input has the shape {tuple(input.shape)}: sequences need one element or more")
        steps = input.transpose(0, 1) if batched and self.batch_first else input if batched else input.unsqueeze(1)
        state = self._state(steps[0], hx if hx is None or batched else hx.unsqueeze(1))
        potentials, state = self._run(list(steps.unbind(0)), state)
        stacked = self._activated(torch.stack(potentials, 1 if batched and self.batch_first else 0))
        return (stacked, state) if batched else (stacked.squeeze(1), state.squeeze(1))

    def slice_map(self, input: Tensor | PackedSequence, hx: Tensor | None = None) -> SliceMap:
        """Its step for some elements of these sequences, each shown for ever."""
        del hx
        elements = input.data if isinstance(input, PackedSequence) else input.flatten(0, -2)
        shown = spread_samples(elements)

        def step(state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            received, after = shown, []
            for cell, V in zip(self._cells(), state, strict=True):
                after.append(cell(received, V))
                received = after[-1].clamp(min=0)
            return tuple(after)

        loops = [Loop(cell.synapses, cell.own_channels, leak_is_free=False) for cell in self._cells()]
        return SliceMap(tuple(cell.at_rest(shown) for cell in self._cells()), step, loops)

    def _packed(self, packed: PackedSequence, hx: Tensor | None) -> tuple[PackedSequence, Tensor]:
        sizes = packed.batch_sizes.tolist()
        if any(later > earlier for earlier, later in pairwise(sizes)):
            raise InputError(
                "the packed sequences are out of order: each step must hold no more samples than the one before; pack "
                "them with torch.nn.utils.rnn.pack_padded_sequence, or pack_sequence(..., enforce_sorted=False)"
            )
        steps = packed.data.split(sizes)
        order, back = packed.sorted_indices, packed.unsorted_indices
        state = self._state(steps[0], hx if hx is None or order is None else hx.index_select(1, order))
        potentials, state = self._run(list(steps), state)
        state = state if back is None else state.index_select(1, back)
        return PackedSequence(self._activated(torch.cat(potentials)), packed.batch_sizes, order, back), state

    def _state(self, first: Tensor, hx: Tensor | None) -> Tensor:
        shape = (self.num_layers, first.shape[0], self.hidden_size)
        if hx is None:
            return torch.stack([cell.at_rest(first) for cell in self._cells()])
        require_floats("the state", hx, self._cells()[0].synapses.g)
        if tuple(hx.shape) != shape:
            raise InputError(f"the state has the shape {tuple(hx.shape)}, but it must be {shape}")
        return hx

    def _run(self, steps: list[Tensor], state: Tensor) -> tuple[list[Tensor], Tensor]:
        """V of the last layer at every step, and of all layers after the last; a step of fewer samples than there are
        states is one of the first ones."""
        last, potentials = [], steps
        for layer, (cell, V) in enumerate(zip(self._cells(), state.unbind(0), strict=True)):
            received = [each.clamp(min=0) for each in potentials] if layer else steps
            potentials, V = self._run_layer(cell, received, V)
            last.append(V)
        return potentials, torch.stack(last)

    def _activated(self, potentials: Tensor) -> Tensor:
        return potentials.clamp(min=0) if self.activation == "relu" else potentials

    def _run_layer(self, cell: CWARNNCell, steps: Sequence[Tensor], V: Tensor) -> tuple[list[Tensor], Tensor]:
        def step(time: int, V: Tensor) -> tuple[Tensor, Tensor]:
            here = steps[time].shape[0]  # len() would be a constant to torch.export
            if here == V.shape[0]:
                V = cell(steps[time], V)
                return V, V
            now = cell(steps[time], V[:here])
            return torch.cat([now, V[here:]]), now

        V, potentials = unroll(
            step,
            len(steps),
            V,
            truncation=self.truncation,
            checkpoint=self.checkpoint,
            around=lambda: holding([cell.synapses]),
        )
        return potentials, V

    def _cells(self) -> list[CWARNNCell]:
        return list(self.cells)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """Sizes and layout."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}"


def _time_constants(tau: float | Tensor, units: int) -> Tensor:
    """C/G_r of each unit, (units,).

    Raises:
        InputError: not positive, or too few or too many.
    """
    values = torch.as_tensor(tau, dtype=torch.float64).detach().cpu()
    if values.shape not in ((), (units,)) or not bool(((values > 0) & values.isfinite()).all()):
        raise InputError(f"tau_membrane: give a positive number of time steps, or one for each of {units} units")
    return values.expand(units)
