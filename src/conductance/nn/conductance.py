"""Layers of non-negative conductances."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from conductance import kernels
from conductance.errors import InputError
from conductance.nn import start
from conductance.nn.base import AveragingLayer, check_sizes, require_room
from conductance.nn.weight import read_weight
from conductance.nonnegative import NONNEGATIVE, known_nonnegative, note_nonnegative, require_form
from conductance.sharded import refuse_sharded
from conductance.valence import Valence, Valences, excitatory_first


class ConductanceLayer(AveragingLayer):
    """Non-negative conductances from presynaptic channels that excite or inhibit (paper eq. 3 and 6).

    The base of `CWALinear` and `CWAConv1d`, `CWAConv2d`, `CWAConv3d`, which say what the arguments are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        convolution: Mapping[str, Any],
        *,
        valence: Valences | None = None,
        excitatory_share: float | None = None,
        unit_valence: Valences | None = None,
        doubled_input: bool | None = None,
        nonnegative: str = "clamped",
        **membrane: Any,
    ) -> None:
        groups = check_sizes(in_channels, out_channels, convolution)
        if doubled_input is None:  # of a single channel nothing could be excitatory and inhibitory
            doubled_input = in_channels == groups and valence is None and excitatory_share is None
        fan_in = in_channels // groups * (2 if doubled_input else 1)
        require_room(
            type(self).__name__,
            (out_channels, fan_in, *kernel_size),
            in_channels,
            membrane.get("device"),
            membrane.get("dtype"),
        )
        form = require_form(nonnegative)
        super().__init__(
            in_channels,
            out_channels,
            convolution,
            typical_total=fan_in * math.prod(kernel_size),
            nonnegative=form,
            **membrane,
        )
        self.nonnegative = form
        self.doubled_input = doubled_input
        device, dtype = membrane.get("device"), membrane.get("dtype")
        self.presynaptic = Valence(
            valence,
            in_channels,
            excitatory_share=excitatory_share,
            groups=groups,
            doubled_input=doubled_input,
            may_be_one_sided=not self.average,  # the units have other synapses besides
            device=device,
            dtype=dtype,
        )
        self.unit_valence = check_unit_valence(unit_valence, out_channels)
        self.g = nn.Parameter(torch.empty(out_channels, fan_in, *kernel_size, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the conductances anew (`nn.start`) and set the leak as it was given.

        Log-normal conductances of mean 1, inhibitory units as twins of excitatory ones, and in each unit as much
        inhibition as excitation. No data is needed. (`init.glorot_` is the paper's start.) A layer made on the meta
        device is filled by ``to_empty``, then this, or by a state dict.

        Raises:
            InputError: the layer is sharded.
        """
        if not self.g.is_meta:
            refuse_sharded(self)
            self.leak.reset_parameters()
            if self.gate is not None:
                self.gate.reset_parameters()
            with torch.no_grad():
                self.set_conductance(start.default_start(self.g, self.presynaptic, self.unit_valence))

    @property
    def conductance(self) -> Tensor:
        """G >= 0 as used, ``(out, fan-in channels, *kernel)``; the excitatory copies of a doubled input come first.

        A synapse that `torch.nn.utils.prune` has cut has G = 0.
        """
        return self._existing(NONNEGATIVE[self.nonnegative].conductance(self.g))

    def _existing(self, conductance: Tensor) -> Tensor:
        """Of the conductances that the parameter stands for, those of synapses that have not been cut."""
        mask = self._buffers.get("g_mask")
        return self._chosen(conductance if mask is None else conductance * mask)

    def _chosen(self, conductance: Tensor) -> Tensor:
        """Of the conductances that the parameter stands for, those of the synapses that there are."""
        return conductance

    @property
    def weight(self) -> Tensor:
        """`conductance`, by the name that code for torch's own layers asks for; see `ReadWeight`."""
        return read_weight(self.conductance)

    @property
    def bias(self) -> None:
        """None: the leak stands in its place."""
        return

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """As torch's modules do.

        Raises:
            InputError: a weight or a bias, or one that torch.nn.utils would compute a weight from.
        """
        if name.partition("_")[0] in ("weight", "bias"):
            raise InputError(
                f"{name} cannot be a parameter of a {type(self).__name__}, which has its g: set conductances by "
                "set_conductance, and give name='g' to functions of torch.nn.utils"
            )
        super().register_parameter(name, param)

    @property
    def valence(self) -> Tensor:
        """e in [-1, 1] of each presynaptic channel, (in,), or (2 * in,) for a doubled input."""
        return self.presynaptic.values

    @property
    def fan_in(self) -> int:
        """How many synapses each unit has."""
        return math.prod(self.g.shape[1:])

    @property
    def synapse_mask(self) -> Tensor | None:
        """Which synapses there are, of the shape of the conductances; None where all are."""
        return None

    @property
    def constant_synapses(self) -> Tensor | None:
        """Which synapses keep their conductance, whatever learns, of the shape of the conductances; None for none."""
        return None

    @torch.no_grad()
    def set_conductance(self, conductance: Tensor) -> None:
        """Set G, whichever form the parameter has.

        Args:
            conductance: G >= 0 of the shape of ``conductance``, or one that broadcasts to it.

        Raises:
            InputError: a shape that does not fit, or a value that is negative, infinite or NaN; or the parameter is
                computed from another (`torch.nn.utils.parametrize`, pruning), or sharded.
        """
        refuse_sharded(self)
        if "g" not in self._parameters:
            raise InputError(
                "this layer's g is computed from another parameter, so its conductances cannot be set; set them first, "
                "then parametrize or prune"
            )
        G = torch.as_tensor(conductance, dtype=self.g.dtype, device=self.g.device)
        try:
            G = G.expand_as(self.g)
        except RuntimeError:
            raise InputError(f"conductance has shape {tuple(G.shape)}; this layer's is {tuple(self.g.shape)}") from None
        if not bool(((G >= 0) & G.isfinite()).all()):
            raise InputError(
                f"conductances must be finite and not negative, but {int((~(G >= 0)).sum())} of {G.numel()} values "
                f"are negative or NaN and {int(G.isinf().sum())} infinite; an inhibitory synapse is a positive "
                "conductance from a channel of valence -1"
            )
        self.g.copy_(NONNEGATIVE[self.nonnegative].parameter(G))
        if self.nonnegative == "clamped":
            note_nonnegative(self.g)

    def set_valence(self, valence: Valences) -> None:
        """Say anew what each presynaptic channel is, one value in [-1, 1] each; the conductances stay.

        Raises:
            InputError: another number of values, or one outside [-1, 1].
        """
        old = self.presynaptic
        self.presynaptic = Valence(
            valence,
            self.in_channels,
            groups=self.groups,
            doubled_input=self.doubled_input,
            may_be_one_sided=not self.average,
            device=old.values.device,
            dtype=old.values.dtype,
        )

    def set_unit_valence(self, valence: Valences) -> None:
        """Say anew what each of this layer's own units is; `assign_valences` tells those that read them.

        Raises:
            InputError: another number of values, or one outside [-1, 1].
        """
        self.unit_valence = check_unit_valence(valence, self.out_channels)

    def packed(self) -> Tensor:
        """The conductances in the order that the products read, see `kernels.pack`."""
        return kernels.pack(self.to_read(), self.presynaptic, self.synaptic_sum)

    def to_read(self) -> Tensor:
        """`conductance`, for whoever neither keeps nor changes it: a clamp that would change nothing is spared."""
        spared = self.nonnegative == "clamped" and known_nonnegative(self.g)
        return self._existing(self.g.view_as(self.g)) if spared else self.conductance

    def _presynaptic(self) -> Valence:
        return self.presynaptic

    def description(self) -> dict[str, Any]:
        """What the parameters mean: form, valences, doubled input, kind of leak."""
        return {
            **super().description(),
            "layer": "conductance",
            "nonnegative": self.nonnegative,
            "doubled_input": self.doubled_input,
            "valence": [list(run) for run in self.presynaptic.runs],
        }

    def _judge_unlabeled(self, name: str, state_dict: Mapping[str, Any], prefix: str) -> str | None:
        g = state_dict.get(f"{prefix}g")
        if g is None:
            return None
        if self.nonnegative == "clamped" and not g.is_meta and bool((g < 0).any()):
            return (
                f"{name}.g has negative values and does not say what they mean; version 0.1 saved such ones in other "
                'forms alone: make the layer with that form, such as nonnegative="rectified"'
            )
        return None

    def extra_repr(self) -> str:
        """Sizes, and every option that differs from its default."""
        parts = [super().extra_repr()]
        if self.nonnegative != "clamped":
            parts.append(f"nonnegative={self.nonnegative!r}")
        if self.doubled_input:
            parts.append("doubled_input=True")
        return ", ".join(parts)


def check_unit_valence(unit_valence: Valences | None, units: int) -> Tensor:
    """The valence of a layer's own units, (units,), float64 on the CPU; the first half excites by default.

    Raises:
        InputError: another number of values, or one outside [-1, 1].
    """
    if unit_valence is None:
        return excitatory_first(units)
    with torch.device("cpu"):
        values = torch.as_tensor(unit_valence, dtype=torch.float64).detach().cpu()
    if values.shape != (units,):
        raise InputError(f"unit_valence has shape {tuple(values.shape)}; give one value for each of {units} units")
    if not bool((values.abs() <= 1).all()):
        raise InputError("unit_valence must lie in [-1, 1]: -1 is the lowest reversal potential, +1 the highest")
    return values
