"""What a conversion did: a line for each layer, and a table of them."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from conductance.ranges import Extent
from conductance.text_table import table
from conductance.transform.survey import Kept


@dataclass(frozen=True)
class Converted:
    """One layer that became a layer of conductances.

    Attributes:
        name: in the model.
        kind: the class of the layer of conductances.
        units: how many.
        reads: what it is given and how it reads that, in words.
        returns: open probabilities "p", or membrane potentials "z", and what is done to them.
        doubled: whether it reads each channel as an excitatory and an inhibitory copy.
        input: the range of what the layer was given on the example, before it is scaled; None without an example.
        output: the range of what it returned.
        fed_by: the layers that feed it.
        dead: units that were open for no sample of the example; empty for layers that return z.
        saturated: units that were at the end of their range for all samples.
        balance: mean E' / mean I' of each unit on the example, (units,).
    """

    name: str
    kind: str
    units: int
    reads: str
    returns: str
    doubled: bool
    input: Extent | None = None
    output: Extent | None = None
    fed_by: tuple[str, ...] = ()
    dead: tuple[int, ...] = ()
    saturated: tuple[int, ...] = ()
    balance: Tensor | None = None


@dataclass
class Conversion:
    """The result of `convert`; ``print`` shows it as a table.

    Attributes:
        model: the converted network.
        layers: the converted layers, in the order in which they run.
        kept: the layers that are as they were, each with the reason and the remedy.
        dropped: names of normalizations that were taken out.
        fused: names of activations that were taken out, for the layers before them rectify.
        warnings: what deserves a look.
    """

    model: nn.Module
    layers: list[Converted]
    kept: list[Kept]
    dropped: list[str] = field(default_factory=list)
    fused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [
            (
                layer.name or "(the model)",
                layer.kind,
                layer.reads + (", doubled" if layer.doubled else ""),
                layer.returns,
                "" if layer.output is None else f"{len(layer.dead)} of {layer.units}",
                "" if layer.balance is None else f"{float(layer.balance.median()):.2f}",
            )
            for layer in self.layers
        ]
        lines = table(("layer", "kind", "reads", "returns", "dead", "E:I"), rows)
        if self.kept:
            lines += ["", *table(("kept", "kind", "reason"), [(k.name, k.kind, _reason(k)) for k in self.kept])]
        lines += [""] if self.dropped or self.fused or self.warnings else []
        lines += [f"dropped: {', '.join(self.dropped)}"] if self.dropped else []
        lines += [f"fused: {', '.join(self.fused)}"] if self.fused else []
        return "\n".join([*lines, *(f"warning: {line}" for line in self.warnings)])


def _reason(kept: Kept) -> str:
    return f"{kept.reason}; {kept.remedy}" if kept.remedy else kept.reason
