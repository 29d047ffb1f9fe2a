"""``conductance export``: a trained network for other programs."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.errors import InputError

Format = Literal["onnx", "torch-export", "neuroml", "table"]
SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".pt2": "torch-export", ".nml": "neuroml", ".csv": "table"}
"""What a file of each format ends in."""

_GRAPHS = ("onnx", "torch-export")
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "images": _GRAPHS,
    "preprocessing": _GRAPHS,
    "internals": _GRAPHS,
    "opset": ("onnx",),
    "layer": ("neuroml", "table"),
    "units": ("neuroml",),
    "image": ("neuroml",),
    "g_max": ("table",),
}


@dataclass
class ExportArguments:
    """Write a trained network for other programs.

    onnx (.onnx) and torch-export (.pt2): the whole network, held against itself on test images. neuroml (.nml): units
    of a layer, as they are while one image is shown. table (.csv): conductances in siemens. Needs the extra export.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN|FOLDER")]
    """the folder of a run or of a saved network; or the name of one that comes along (see conductance models)"""
    out: Path
    """the file: .onnx, .pt2 for torch-export, .nml for neuroml, .csv for table"""
    format: Format | None = None
    """by default what the file ends in"""
    images: int = 100
    """onnx, torch-export: on how many test images the file is held against the network"""
    preprocessing: Literal["inside", "stated"] = "inside"
    """onnx, torch-export: inside: the file takes images in [0, 1]; stated: it takes the network's own input"""
    internals: bool = False
    """onnx, torch-export: give E', I' and z of each layer too"""
    opset: int = 18
    """onnx: version of the operators"""
    layer: str | None = None
    """neuroml, table: the name of a layer"""
    units: tuple[int, ...] | None = None
    """neuroml: numbers of units; all by default"""
    image: int = 0
    """neuroml: number of the test image that is shown"""
    g_max: float = 1e-4
    """table: the largest conductance of each layer in siemens"""
    data_dir: Path | None = None
    """folder to search for the data set first"""


def run(arguments: list[str]) -> None:
    """Write the file, and say what was written."""
    chosen = parse(ExportArguments, "export", arguments)
    kind = _format(chosen)
    from conductance.share.source import Source

    source = Source.of(chosen.network, chosen.data_dir)
    if kind in ("onnx", "torch-export"):
        exported = source.export_graph(
            chosen.out,
            kind,
            images=chosen.images,
            preprocessing=chosen.preprocessing,
            internals=chosen.internals,
            opset=chosen.opset,
        )
        seen = exported.difference
        of_what = "test images" if source.are_real else "random images, for its data set is not here"
        _say(f"{source.name}: {exported.file}, inputs {', '.join(exported.inputs)}, {len(exported.outputs)} output(s)")
        if exported.operators:
            _say(f"operators: {', '.join(exported.operators)}")
        _say(
            f"held against the network on {seen.samples} {of_what}: the same class for {seen.same_class}, "
            f"largest difference {max(seen.largest.values()):.1e}"
        )
    elif kind == "neuroml":
        files = source.export_units(chosen.out, layer=chosen.layer, units=chosen.units, image=chosen.image)
        _say(f"{source.name}: {' '.join(map(str, files))}")
    else:
        tables = source.export_siemens(chosen.out, layer=chosen.layer, g_max=chosen.g_max)
        _say(f"{source.name}: {chosen.out}")
        for table in tables:
            units, inputs = table.excitatory.shape
            _say(f"layer {table.layer}: {units} units, {inputs} inputs each; 1 is {table.siemens:.3g} siemens")


def _format(chosen: ExportArguments) -> Format:
    """The format that was asked for; before anything is loaded, whether all options belong to it.

    Raises:
        InputError: the file ends in something else, or an option is of another format.
    """
    by_suffix = SUFFIXES.get(chosen.out.suffix)
    kind = chosen.format or by_suffix
    if kind is None or kind != by_suffix:
        suffixes = {name: suffix for suffix, name in SUFFIXES.items()}
        known = ", ".join(f"{suffixes[name]} for {name}" for name in get_args(Format))
        raise InputError(f"out={chosen.out}: a file of each format has its ending: {known}")
    for field in fields(chosen):
        formats = _ONLY_FOR.get(field.name, (kind,))
        if getattr(chosen, field.name) != field.default and kind not in formats:
            option = field.name.replace("_", "-")
            raise InputError(f"--{option}: only for {' and '.join(formats)}, not for {kind}; leave it out")
    return kind


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
