"""Recurrent layers (`conductance.nn.CWARNN`) as circuits: one population for each of their layers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from conductance.biophysics.rescaling import DEFAULT_RANGE
from conductance.biophysics.wiring import Afferent, WiredModule, WiredPopulation, Wiring
from conductance.errors import InputError
from conductance.nn import CWARNN, CWARNNCell

INPUT, COPY = "input", "inhibitory_copy"


class WiredRNN(WiredModule):
    """A recurrent layer and its wiring.

    Its cells make exponential Euler steps of membranes that read each other without delay. So `simulate` makes the same
    steps where its own are as long.

    Args:
        layer: the recurrent layer.
        step_duration: what one of its time steps lasts, in ms.
    """

    def __init__(self, layer: CWARNN, step_duration: float) -> None:
        super().__init__()
        self.layer, self.step_duration = layer, step_duration
        self.readout: nn.Module | None = None

    def wiring(self) -> Wiring:
        """Inputs, populations, and who reads whom."""
        cells: list[CWARNNCell] = list(self.layer.cells)  # type: ignore[arg-type]
        e = cells[0].synapses.valence.detach()
        valences = {INPUT: e[: cells[0].input_size]}
        if cells[0].doubled_input:
            valences[COPY] = e[-cells[0].input_size :]
        inputs = tuple(valences)
        populations, source = {}, INPUT
        for number, cell in enumerate(cells):
            name = f"cells.{number}"
            valences[name] = cell.unit_valence
            read = [source, name, COPY] if cell.doubled_input else [source, name]
            ends = torch.tensor([0, *(len(valences[each]) for each in read)]).cumsum(0).tolist()
            afferents = (Afferent(each, 0.0, *ends[place : place + 2]) for place, each in enumerate(read))
            capacitance = cell.capacitance.detach() * self.step_duration
            populations[name] = WiredPopulation(
                cell.synapses,
                (cell.hidden_size,),
                None,
                tuple(afferents),
                capacitance,
                None,
                0.0 if cell.pooled_interneuron else None,
            )
            source = name
        return Wiring(DEFAULT_RANGE, valences, inputs, populations, (source,), self.step_duration)

    def encode(self, *inputs: Any) -> tuple[dict[str, Tensor], int | None]:
        """What each input's neurons send, (N, time, units), and the length of the sequence.

        Raises:
            InputError: it is no batch of sequences of one length, or an initial state is given.
        """
        (sequence, *others) = inputs
        size = self.layer.input_size
        if not isinstance(sequence, Tensor) or sequence.ndim != 3 or sequence.shape[-1] != size:
            layout = "(N, L, " if self.layer.batch_first else "(L, N, "
            raise InputError(f"membranes of a recurrent layer read a batch of sequences; give {layout}{size})")
        if any(other is not None for other in others):
            raise InputError("membranes of a recurrent layer start at rest; leave the initial state out")
        p = sequence if self.layer.batch_first else sequence.transpose(0, 1)
        sent = {INPUT: p, COPY: p} if self.layer.cells[0].doubled_input else {INPUT: p}
        return sent, p.shape[1]

    def lasting(self, output: Tensor, potentials: Mapping[str, Tensor], length: int) -> tuple[Tensor, Tensor]:
        """Output and state of a recurrent layer at whose every step they are the same."""
        z = list(potentials.values())
        output = output if self.layer.activation == "relu" else z[-1]
        axis = 1 if self.layer.batch_first else 0
        shape = list(output.unsqueeze(axis).shape)
        shape[axis] = length
        return output.unsqueeze(axis).expand(shape), torch.stack(z)
