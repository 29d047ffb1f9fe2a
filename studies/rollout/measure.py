"""How many time slices does feedback inhibition need, and does it pay when it is given room?

144 excitatory neurons with PV-like interneurons on 2,000 images of MNIST: rolled out over 1 to 16 slices, from a start
at which slices come to rest and from the start as drawn; then more or fewer interneurons, of weak or strong synapses.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch

from conductance.files import write_text
from conductance.nn import spectral_radius
from studies.rollout.circuits import WITHOUT, rollout, with_room
from studies.rollout.figure import rollout_figure
from studies.shared import lines
from studies.shared.few_images import few_images
from studies.shared.folder import folder_of
from studies.shared.growing import measure_and_show, read_rows
from studies.shared.learning import judge, learn
from studies.shared.lines import PartCase

FOLDER = folder_of(__file__)

IMAGES, EPOCHS, BATCH, SEEDS = 2000, 5, 50, 5
RADIUS_SAMPLES = 10
SLICES = ("1", "2", "4", "8", "16")
STARTS = {"slices, settled start": True, "slices, start as drawn": False}
ROOM = "interneurons"
ROOMS = tuple(f"share {share}, strength {strength}" for share in (0.1, 0.3, 1) for strength in (0.3, 1, 3))
REFERENCES = {**dict.fromkeys(STARTS, "1"), ROOM: WITHOUT}


def cases(seeds: int) -> list[PartCase]:
    """All runs, seed by seed."""
    found = []
    for seed in range(seeds):
        found += [PartCase(part, slices, seed) for part in STARTS for slices in SLICES]
        found += [PartCase(ROOM, name, seed) for name in (WITHOUT, *ROOMS)]
    return found


def train(case: PartCase, data_dir: Path | None = None) -> Mapping[str, float | str]:
    """One run: the spectral radius after learning, accuracies in %, and which test images are right."""
    images = few_images("mnist", IMAGES, case.seed, data_dir).each(lambda pixels: pixels.squeeze(1))
    torch.manual_seed(case.seed)
    if case.part == ROOM:
        network = with_room(case.condition)
    else:
        network = rollout(int(case.condition), settled=STARTS[case.part])
    learn(network, images.learned, epochs=EPOCHS, batch=BATCH)
    radius = spectral_radius(network, images.validation.inputs[:RADIUS_SAMPLES])
    return {"radius": round(radius, 2), **judge(network, images.validation, images.test)}


def chosen(rows: Sequence[Mapping[str, str]]) -> str | None:
    """The number and strength of interneurons of the highest mean validation accuracy; None before any is measured."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["part"] == ROOM and row["condition"] != WITHOUT:
            found.setdefault(row["condition"], []).append(float(row["validation"]))
    return max(found, key=lambda name: fmean(found[name]), default=None)


def show() -> None:
    """Write the table and the figure of what has been measured."""
    found = lines.lines_of_parts(read_rows(FOLDER.result), REFERENCES)
    write_text(FOLDER.table, lines.table(found, ("Part",), "Condition", means={"Radius": "radius"}))
    write_text(FOLDER.figure, rollout_figure(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    measure_and_show(FOLDER, cases, train, show, seeds=SEEDS, description=__doc__, arguments=arguments)
