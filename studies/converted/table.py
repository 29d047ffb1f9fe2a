"""The table of converted networks: the affine original and the converted one, side by side."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.rows import spread
from conductance.report.table import markdown_lines, with_spread

Row = Mapping[str, str]

NAMES = {
    "resnet": "ResNet (transformers)",
    "convnext": "ConvNeXt (transformers)",
    "vit": "ViT (transformers)",
    "u-net": "U-Net",
    "residual": "plain residual network",
}


def converted_table(rows: Sequence[Row]) -> str:
    """A line for each network: test accuracy of the original and of the converted one, and how far they are apart."""
    tested = [row for row in rows if row["judged"] == "test"]
    lines = []
    for network in dict.fromkeys(row["network"] for row in tested):
        affine, converted = (
            [row for row in tested if (row["network"], row["layers"]) == (network, layers)]
            for layers in ("affine", "converted")
        )
        if affine and converted:
            cells = [cell for of_kind in (affine, converted) for cell in _cells(of_kind)]
            before, after = _accuracies(affine), _accuracies(converted)
            lines.append([NAMES[network], *cells, f"{min(after):.1f}", f"{fmean(after) - fmean(before):+.1f}"])
    headings = ["Network"]
    headings += [f"{kind}: {what}" for kind in ("Original", "Converted") for what in ("parameters", "step", "test %")]
    return markdown_lines([*headings, "Lowest", "Difference"], [False] + [True] * 8, lines)


def _cells(rows: Sequence[Row]) -> list[str]:
    accuracies = _accuracies(rows)
    mean = with_spread(fmean(accuracies), spread(accuracies))
    return [f"{int(rows[0]['parameters']):,}", f"{float(rows[0]['step']):g}", mean]


def _accuracies(rows: Sequence[Row]) -> list[float]:
    return [float(row["accuracy"]) for row in rows]
