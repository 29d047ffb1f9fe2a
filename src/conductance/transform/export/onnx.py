"""Networks as ONNX files, which run in browsers, on phones and in other languages."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conductance import __version__
from conductance.checked import checked
from conductance.errors import InputError
from conductance.extras import import_extra
from conductance.files import write_atomically
from conductance.transform.export.graph import (
    TOLERANCE,
    Difference,
    Exported,
    Graph,
    difference,
    layer_names,
    quietly,
    refused,
)

OPSETS = (18, 23)
"""The first and the last version of ONNX's operators that can be asked for."""

# What one file holds; beyond, ONNX would need a second one.
_MOST_BYTES = 2**31 - 2**20


@checked
def export_onnx(
    model: nn.Module,
    example: Any,
    file: str | Path,
    *,
    opset: int = 18,
    preprocessing: nn.Module | None = None,
    internals: bool = False,
    tolerance: float = TOLERANCE,
    metadata: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a network as ONNX, and hold the file against the network on the example before it takes its place.

    >>> export_onnx(model, images, "network.onnx")  # doctest: +SKIP

    The network is frozen first (`freeze`); its layers become Conv or Gemm, Split, Add, Sub, Div and Relu. It takes any
    number of samples. The file says which version of this package wrote it, which layers there are, and ``metadata``.

    Args:
        model: any module, converted or built; it is left as it was.
        example: input of the model: a tensor or array, a tuple of them, or a dictionary of arguments; samples lie along
            the first axis. All of it is run by onnxruntime and compared.
        file: where.
        opset: version of ONNX's operators, 18 to 23.
        preprocessing: what the first input is to go through before the model, inside the file; ``example`` is then what
            goes into that.
        internals: return E', I' and z of each layer too, for those who want to see what it does.
        tolerance: how far outputs may be from the network's, absolute; relative where they are larger than 1.
        metadata: what else the file is to say, as plain values.

    Raises:
        InputError: the model does not take the example; torch cannot follow it; or the file differs from it.
        ConductanceError: the extra ``export`` is missing, or the file cannot be written.
    """
    import_extra("onnxscript", "to write ONNX", "export")
    runtime = import_extra("onnxruntime", "to run ONNX", "export")
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise InputError(f"opset={opset}: choose one from {OPSETS[0]} to {OPSETS[1]}")
    _require_single_precision(model)
    graph = Graph(model, example, preprocessing, internals)
    written = _written(model, graph, opset, metadata or {})
    found = _held_against(runtime, written, graph, tolerance)
    write_atomically(Path(file), lambda stream: stream.write(written))
    operators = _operators(written)
    return Exported(Path(file), graph.inputs, graph.output_names, operators, found)


def _require_single_precision(model: nn.Module) -> None:
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if value.is_floating_point() and value.dtype != torch.float32:
            raise InputError(f"{name} is of {value.dtype}, which onnxruntime does not compute with; give model.float()")


def _written(model: nn.Module, graph: Graph, opset: int, metadata: Mapping[str, Any]) -> bytes:
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} if graph.batched(each) else {} for each in graph.example)
    try:
        with quietly():
            program = torch.onnx.export(
                graph,
                graph.few(),
                dynamo=True,
                opset_version=opset,
                input_names=list(graph.inputs),
                output_names=list(graph.output_names),
                dynamic_shapes=(shapes,),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # whatever a network does that torch cannot follow
        raise refused(model, error) from None
    assert program is not None
    described = {"version": __version__, "layers": layer_names(model), **metadata}
    for name, value in described.items():
        program.model.metadata_props[f"conductance.{name}"] = value if isinstance(value, str) else json.dumps(value)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # lines and folders of this machine
    _without_detours(program.model.graph)
    proto = program.model_proto
    if proto.ByteSize() > _MOST_BYTES:
        raise InputError(f"{type(model).__name__} has {proto.ByteSize() / 2**30:.1f} GiB; one ONNX file holds up to 2")
    data: bytes = proto.SerializeToString()
    return data


def _without_detours(graph: Any) -> None:
    """E' and I' that were joined only to be split again go straight to those that read them."""
    for node in list(graph):
        joined = node.inputs[0].producer() if node.op_type == "Split" else None
        if joined is None or joined.op_type != "Concat" or _axis(joined) != _axis(node):
            continue
        parts, halves = joined.inputs, node.outputs
        if len(parts) == len(halves) == 2 and all(a.shape == b.shape for a, b in zip(parts, halves, strict=True)):
            names = [
                half.name if half.is_graph_output() else part.name for part, half in zip(parts, halves, strict=True)
            ]
            for part, half in zip(parts, halves, strict=True):
                half.replace_all_uses_with(part, replace_graph_outputs=True)
            graph.remove(node, safe=True)
            for part, name in zip(parts, names, strict=True):
                part.name = name
            if not joined.outputs[0].uses() and not joined.outputs[0].is_graph_output():
                graph.remove(joined, safe=True)


def _axis(node: Any) -> int:
    axis: int = node.attributes["axis"].value if "axis" in node.attributes else 0
    rank = len(node.outputs[0].shape)
    return axis % rank


def _held_against(runtime: Any, written: bytes, graph: Graph, tolerance: float) -> Difference:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    given = {name: each.cpu().numpy() for name, each in zip(graph.inputs, graph.example, strict=True)}
    try:
        session = runtime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
        found = session.run(list(graph.output_names), given)
    except Exception as error:  # whatever onnxruntime does not take
        raise InputError(f"onnxruntime does not run the exported network: {' '.join(str(error).split())}") from None
    return difference(graph.outputs(), found, tolerance, len(graph.example[0]))


def _operators(written: bytes) -> tuple[str, ...]:
    import onnx

    return tuple(sorted({node.op_type for node in onnx.load_from_string(written).graph.node}))
