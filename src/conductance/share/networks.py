"""Networks in plain values: containers, the paper's networks, recurrent layers; what they hold is said by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from conductance.models.cnn import CNN
from conductance.models.fcn import FCN
from conductance.models.resnet import ResidualBlock, ResNet18
from conductance.nn.recurrent import CWARNN, CWARNNCell, RecurrentSynapses
from conductance.share.kinds import Kind, Modules, Options, dtype_named, plain
from conductance.share.layers import averaging

Types = type | tuple[type, ...]

_NUMBER_OR_NONE = (int, type(None))


def assembled(
    module: type[nn.Module], attributes: Mapping[str, Types] | None = None, *, absent: Sequence[str] = ()
) -> Kind:
    """A class whose modules are what they hold: other modules, tensors, and some plain attributes.

    Args:
        module: the class.
        attributes: names of the plain ones, each with its types.
        absent: names that are None where no tensor bears them.
    """
    expected = attributes or {}

    def describe(network: nn.Module) -> Options:
        return {
            **{name: plain(getattr(network, name)) for name in expected},
            "tensors": {name: _tensor(network, name) for name in (*network._parameters, *network._buffers)},
        }

    def build(options: Options, modules: Modules) -> nn.Module:
        network = module.__new__(module)
        nn.Module.__init__(network)
        for name, types in expected.items():
            if not isinstance(options[name], types):
                raise TypeError(f"{name} is {options[name]!r}")
            setattr(network, name, options[name])
        for name, part in modules.items():
            setattr(network, name, part)
        tensors = options["tensors"]
        for name in (*absent, *tensors):
            setattr(network, name, None) if name not in tensors else _register(network, name, tensors[name])
        return network

    return Kind(module.__name__, module, describe, build, holds=True)


def _tensor(network: nn.Module, name: str) -> Any:
    value = getattr(network, name)
    if value is None:
        return None
    dtype = str(value.dtype).removeprefix("torch.")
    return {"shape": list(value.shape), "dtype": dtype, "parameter": name in network._parameters}


def _register(network: nn.Module, name: str, tensor: Any) -> None:
    if tensor is None:
        network.register_buffer(name, None)
        return
    values = torch.empty(tensor["shape"], dtype=dtype_named(tensor["dtype"]))
    if tensor["parameter"]:
        network.register_parameter(name, nn.Parameter(values))
    else:
        network.register_buffer(name, values)


# Containers -----------------------------------------------------------------------------------------------------------


def _nothing(module: nn.Module) -> Options:
    del module
    return {}


def _sequential(options: Options, modules: Modules) -> nn.Module:
    del options
    network = nn.Sequential()
    for name, part in modules.items():
        network.add_module(name, part)
    return network


def _list(options: Options, modules: Modules) -> nn.Module:
    del options
    return nn.ModuleList(modules.values())


def _dict(options: Options, modules: Modules) -> nn.Module:
    del options
    return nn.ModuleDict(modules)


# Recurrent layers -----------------------------------------------------------------------------------------------------

_CELL = assembled(
    CWARNNCell, {"input_size": int, "hidden_size": int, "doubled_input": bool, "pooled_interneuron": bool}
)


def _build_cell(options: Options, modules: Modules) -> nn.Module:
    cell, synapses = _CELL.build(options, modules), modules["synapses"]
    if not isinstance(cell, CWARNNCell) or not isinstance(synapses, RecurrentSynapses):
        raise TypeError("a cell has no synapses")
    cell.unit_valence = synapses.unit_valence
    synapses.pools_later = cell.pooled_interneuron
    return cell


NETWORK_KINDS = (
    Kind("Sequential", nn.Sequential, _nothing, _sequential, holds=True),
    Kind("ModuleList", nn.ModuleList, _nothing, _list, holds=True),
    Kind("ModuleDict", nn.ModuleDict, _nothing, _dict, holds=True),
    assembled(FCN),
    assembled(CNN),
    assembled(ResNet18),
    assembled(ResidualBlock, {"join": str}, absent=("branch_scale",)),
    Kind(
        "RecurrentSynapses",
        RecurrentSynapses,
        averaging(RecurrentSynapses).describe,
        averaging(RecurrentSynapses).build,
    ),
    Kind("CWARNNCell", CWARNNCell, _CELL.describe, _build_cell, holds=True),
    assembled(
        CWARNN,
        {
            "input_size": int,
            "hidden_size": int,
            "num_layers": int,
            "batch_first": bool,
            "activation": (str, type(None)),
            "truncation": _NUMBER_OR_NONE,
            "checkpoint": _NUMBER_OR_NONE,
        },
    ),
)
