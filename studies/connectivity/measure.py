"""Which connectivity helps, and do conductance networks need many synapses for each unit?

A layer of 144 neurons on 2,000 images of MNIST: dense, with interneurons, recurrent, sparse, local. Then layers of
as many synapses in all, of which each unit has few or many, beside affine ones, on MNIST and on CIFAR-10; and
convolutions of as many synapses in all, with small kernels or large ones.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from conductance.files import write_text
from conductance.optim import create_optimizer
from studies.connectivity.circuits import CIFAR10, CIRCUITS, KERNELS, MNIST, Layer, by_fan_in, by_kernel, circuit
from studies.connectivity.figure import connectivity_figure
from studies.shared import lines
from studies.shared.few_images import few_images
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.learning import judge, learn
from studies.shared.lines import PartCase

FOLDER = folder_of(__file__)

IMAGES, EPOCHS, BATCH, SEEDS = 2000, 5, 50, 5
AFFINE_STEP = 1e-3  # of Adam
CIRCUIT, KERNEL = "circuit", "kernels"
FAN_INS: dict[str, tuple[str, Layer]] = {
    "conductances, fan-in": ("conductance", MNIST),
    "affine, fan-in": ("affine", MNIST),
    "conductances, fan-in, CIFAR-10": ("conductance", CIFAR10),
    "affine, fan-in, CIFAR-10": ("affine", CIFAR10),
}
REFERENCES = {
    CIRCUIT: "dense",
    **{part: str(layer.fan_ins[-1]) for part, (_, layer) in FAN_INS.items()},
    KERNEL: str(KERNELS[-1]),
}


def cases(seeds: int, parts: Collection[str]) -> list[PartCase]:
    """All runs of these parts, seed by seed."""
    found = []
    for seed in range(seeds):
        found += [PartCase(CIRCUIT, name, seed) for name in CIRCUITS]
        found += [PartCase(KERNEL, str(kernel), seed) for kernel in KERNELS]
        for part, (_, layer) in FAN_INS.items():
            found += [PartCase(part, str(fan_in), seed) for fan_in in layer.fan_ins]
    return [case for case in found if case.part in parts]


def train(case: PartCase, data_dir: Path | None = None) -> Mapping[str, float | str]:
    """One run: accuracies in %, and which test images are right."""
    family, layer = FAN_INS.get(case.part, ("conductance", MNIST))
    images = few_images(layer.data, IMAGES, case.seed, data_dir)
    torch.manual_seed(case.seed)
    if case.part == CIRCUIT:
        network, images = circuit(case.condition), images.each(lambda pixels: pixels.squeeze(1))
    elif case.part == KERNEL:
        network = by_kernel(int(case.condition))
    else:
        network = by_fan_in(family, layer, int(case.condition))
    make = _adam if family == "affine" else create_optimizer
    learn(network, images.learned, epochs=EPOCHS, batch=BATCH, make=make)
    return judge(network, images.validation, images.test)


def _adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), AFFINE_STEP)


def show() -> None:
    """Write the table and the figure of what has been measured."""
    found = lines.lines_of_parts(read_rows(FOLDER.result), REFERENCES)
    write_text(FOLDER.table, lines.table(found, ("Part",), "Condition"))
    write_text(FOLDER.figure, connectivity_figure(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS, reads_data=True)
    parser.add_argument("--parts", nargs="+", choices=REFERENCES, default=list(REFERENCES), help="which (default: all)")
    choices = parser.parse_args(arguments)
    measure_study(FOLDER, cases(choices.seeds, choices.parts), lambda case: train(case, choices.data_dir))
    if read_rows(FOLDER.result):
        show()
