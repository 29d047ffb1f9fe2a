"""The page about a saved network, as the Hub shows it: what it is, how to load it, a table of its layers."""

import json
from collections.abc import Iterator

from torch import nn

from conductance.analysis.check import check
from conductance.nn import ConductanceLayer
from conductance.printable import code_in_markdown, in_markdown
from conductance.share.description import PICTURE_FILE, Description
from conductance.text_table import markdown


def card(description: Description, network: nn.Module, name: str, has_picture: bool) -> str:
    """The page, in Markdown.

    Args:
        description: of the network.
        network: itself.
        name: by which it is loaded.
        has_picture: whether a picture lies beside the page.
    """
    parts = [
        _header(description),
        f"# {in_markdown(name)}",
        _sentence(description, network),
        _use(description, name),
        _facts(description),
    ]
    layers = _layers(network)
    if layers:
        parts += ["## Layers", layers]
    if has_picture:
        parts += [
            f"![Histograms for each layer: conductances, states, outputs, balance]({PICTURE_FILE})",
            "*A row for each layer: its conductances, its units' membrane potentials z and outputs p, and how each "
            "unit balances excitation and inhibition.*",
        ]
    return "\n\n".join(parts) + "\n"


def _header(description: Description) -> str:
    """What the Hub reads."""
    lines = ["library_name: conductance", "tags:", "- conductance"]
    if description.preprocessing is not None:
        lines.append("pipeline_tag: image-classification")
    dataset = (description.accuracy or {}).get("dataset")
    if isinstance(dataset, str):
        lines += ["datasets:", f"- {json.dumps(dataset)}"]
    return "\n".join(["---", *lines, "---"])


def _sentence(description: Description, network: nn.Module) -> str:
    averaging = sum(isinstance(module, ConductanceLayer) for module in network.modules())
    kind = description.network.rpartition(".")[2]
    layers = "layer" if averaging == 1 else "layers"
    return (
        f"{_article(kind)} {in_markdown(kind)} with {averaging} {layers} of conductances and "
        f"{description.parameters:,} parameters, saved with conductance {description.version}."
    )


def _article(word: str) -> str:
    return "An" if word[:1] in "AEIOU" else "A"


def _use(description: Description, name: str) -> str:
    lines = ["import conductance", ""]
    if description.whole:
        lines.append(f"network = conductance.load({json.dumps(name)})")
    else:
        module, _, kind = description.network.rpartition(".")
        lines += [
            f"network = ...  # {kind} of {module}, made by its own code",
            f"network = conductance.load({json.dumps(name)}, into=network)",
        ]
    if description.preprocessing is not None:
        shape = "C, H, W" if description.input_shape is None else ", ".join(map(str, description.input_shape))
        lines.append(f"logits = network(images)  # images: (N, {shape}) in [0, 1], or uint8")
    return "\n".join(["```python", *lines, "```"])


def _facts(description: Description) -> str:
    rows = [(what, value) for what, value in _known(description) if value]
    return markdown(("Fact", "Value"), rows)


def _known(description: Description) -> Iterator[tuple[str, str]]:
    for name, value in (description.accuracy or {}).items():
        yield in_markdown(name.replace("_", " ")), in_markdown(_measured(name, value))
    yield "layers", in_markdown(", ".join(description.families))
    if description.preprocessing is not None:
        yield "preprocessing", f"{description.preprocessing['kind']}, inside"
    yield "classes", in_markdown(", ".join(description.classes or ()))
    yield "command", code_in_markdown(description.command) if description.command else ""
    for name, value in (description.origin or {}).items():
        shown = ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else value
        yield in_markdown(name.replace("_", " ")), in_markdown(f"{shown}")


def _measured(name: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def _layers(network: nn.Module) -> str:
    if not any(isinstance(module, ConductanceLayer) for module in network.modules()):
        return ""
    rows = [
        (
            in_markdown(layer.name) or "(the network)",
            layer.kind,
            f"{layer.units:,}",
            f"{layer.synapses:,}",
            f"{layer.conductance[0]:.2g} to {layer.conductance[1]:.2g}",
            "" if layer.excitatory is None else f"{layer.excitatory:.0%}",
        )
        for layer in check(network).layers
    ]
    return markdown(("Layer", "Kind", "Units", "Synapses", "Conductances", "Excitatory units"), rows)
