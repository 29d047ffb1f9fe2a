"""Networks as programs of torch.export, which C++ and other Python programs run without this package."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conductance.checked import checked
from conductance.files import write_atomically
from conductance.transform.export.graph import TOLERANCE, Exported, Graph, difference, quietly, refused


@checked
def export_program(
    model: nn.Module,
    example: Any,
    file: str | Path,
    *,
    preprocessing: nn.Module | None = None,
    internals: bool = False,
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write a network as `torch.export.save` does, and hold the file against the network on the example.

    ``torch.export.load(file).module()`` takes the inputs one by one and returns a tuple of the outputs, for any number
    of samples; this package is not needed. Arguments are those of `export_onnx`.

    Raises:
        InputError: the model does not take the example; torch cannot follow it; or the file differs from it.
        ConductanceError: the file cannot be written.
    """
    graph = Graph(model, example, preprocessing, internals)
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} if graph.batched(each) else {} for each in graph.example)
    stream = io.BytesIO()
    try:
        with quietly():
            program = torch.export.export(graph, graph.few(), dynamic_shapes=(shapes,), strict=False)
            torch.export.save(program, stream)
            stream.seek(0)
            read_back = torch.export.load(stream).module()
    except Exception as error:  # whatever a network does that torch cannot follow
        raise refused(model, error) from None
    with torch.no_grad():
        outputs = [tensor.cpu().numpy() for tensor in read_back(*graph.example)]
    found = difference(graph.outputs(), outputs, tolerance, len(graph.example[0]))
    write_atomically(Path(file), lambda target: target.write(stream.getvalue()))
    return Exported(Path(file), graph.inputs, graph.output_names, (), found)
