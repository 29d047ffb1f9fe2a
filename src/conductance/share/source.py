"""The network of a run, or a saved one, for other programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from conductance.biophysics import export_neuroml, to_biophysical
from conductance.data import Dataset, Preprocessing, load_dataset
from conductance.errors import DataError, InputError, SavedNetworkError
from conductance.runs import DataConfig, load_run
from conductance.share.classifier import FULL, ImageClassifier
from conductance.share.loading import load
from conductance.share.places import about, is_saved, require_place
from conductance.transform.export import ConductanceTable, Exported, export_onnx, export_program, export_table

PreprocessingPlace = Literal["inside", "stated"]

# Images on which membranes are given their scale in nanosiemens.
_SCALING_IMAGES = 100


@dataclass(frozen=True)
class Source:
    """A network with its images.

    Attributes:
        name: of the run or the folder.
        network: what takes preprocessed images.
        preprocessing: what makes its input of pixels; None where a saved network does not say.
        classes: their names, if they have any.
        images: test images of its data set, uint8 (N, C, H, W), or random ones of its shape; None likewise.
        labels: their classes; None where the images are random, or None.
        dataset: the name of its data set, where one is known.
        about: what is known of how it was made: ``test_accuracy`` in %, and the ``command`` that trains such a one.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing | None
    classes: tuple[str, ...] | None
    images: Tensor | None
    labels: Tensor | None = None
    dataset: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def are_real(self) -> bool:
        """Whether the images are of its data set."""
        return self.labels is not None

    @classmethod
    def of(cls, source: Path, data_dir: Path | None = None) -> "Source":
        """Read a run, or a saved network.

        Args:
            source: the folder of either, or the name of a network that comes with this package.
            data_dir: where to look for the data set first.

        Raises:
            ConductanceError: there is neither.
        """
        require_place(source)
        if is_saved(source):
            return _saved(source if source.exists() else str(source), data_dir)
        run = load_run(source, data_dir)
        test, known = run.dataset.test, run.summary or {}
        return cls(
            run.config.name,
            run.network,
            run.preprocessing,
            tuple(run.dataset.classes),
            test.pixels,
            test.labels,
            run.config.data.dataset,
            {name: known[name] for name in ("test_accuracy", "command") if known.get(name) is not None},
        )

    def pixels(self) -> tuple[Preprocessing, Tensor]:
        """Its preprocessing and its images.

        Raises:
            SavedNetworkError: it was saved without them.
        """
        if self.preprocessing is None or self.images is None:
            raise SavedNetworkError(
                f"{self.name} was saved without preprocessing, so it does not say what its images are; export it in "
                "Python: conductance.transform.export_onnx(conductance.load(...), example, file)"
            )
        return self.preprocessing, self.images

    def export_graph(
        self,
        file: Path,
        kind: Literal["onnx", "torch-export"],
        *,
        images: int,
        preprocessing: PreprocessingPlace = "inside",
        internals: bool = False,
        opset: int = 18,
    ) -> Exported:
        """Write ONNX or a program of torch.export, held against the network on its images.

        Args:
            file: where.
            kind: which.
            images: on how many.
            preprocessing: "inside" for a file that takes images in [0, 1]; "stated" for one that takes what the
                network does, and says in its metadata how that is made of them.
            internals: give E', I' and z of each layer too.
            opset: of ONNX.

        Raises:
            ConductanceError: see `export_onnx` and `export_program`.
        """
        if images < 1:
            raise InputError(f"images={images}: must be positive")
        prepare, pixels = self.pixels()
        example, before = pixels[:images].float() / FULL, None
        if preprocessing == "inside":
            before = ImageClassifier(nn.Identity(), prepare)
        else:
            example = prepare.of_values(example * FULL)
        if kind == "torch-export":
            return export_program(self.network, example, file, preprocessing=before, internals=internals)
        said = self._metadata(preprocessing)
        return export_onnx(
            self.network, example, file, preprocessing=before, internals=internals, opset=opset, metadata=said
        )

    def _metadata(self, place: PreprocessingPlace) -> dict[str, Any]:
        prepare, pixels = self.pixels()
        shape = ", ".join(map(str, pixels.shape[1:]))
        kind, scale, shift = prepare.kind, prepare.scale, prepare.shift
        said: dict[str, Any] = {"name": self.name}
        if self.classes is not None:
            said["classes"] = list(self.classes)
        if place == "inside":
            return {**said, "input": f"images (N, {shape}), values in [0, 1]", "preprocessing": f"{kind}, inside"}
        clipped = ", clipped to [0, 1]" if kind == "scaled" else ""
        said["input"] = f"(N, {shape}): scale times images in [0, 1] plus shift, of each channel{clipped}"
        per_channel = {"scale": (scale * FULL).flatten().tolist(), "shift": shift.flatten().tolist()}
        return {**said, "preprocessing": {"kind": kind, **per_channel}}

    def export_units(
        self, file: Path, *, layer: str | None, units: Sequence[int] | None, image: int
    ) -> tuple[Path, Path]:
        """Write units of a layer in NeuroML, see `biophysics.export_neuroml`.

        Args:
            file: where.
            layer: its name; it may be left out where there is one layer of membranes alone.
            units: their numbers; all by default.
            image: the number of the image that is shown.

        Raises:
            ConductanceError: no such image or layer, or see `to_biophysical` and `export_neuroml`.
        """
        prepare, pixels = self.pixels()
        if not 0 <= image < len(pixels):
            raise InputError(f"image={image}: there are {len(pixels)}, numbered from 0")
        shown = prepare(pixels[:_SCALING_IMAGES])
        network = to_biophysical(self.network, images=shown)
        if layer is None and len(network.layers) > 1:
            raise InputError(f"layer: choose one of {', '.join(network.by_name)}")
        chosen = network.layers[0].name if layer is None else layer
        one = prepare(pixels[image : image + 1])
        return export_neuroml(network, chosen, None if units is None else list(units), one, file)

    def export_siemens(self, file: Path, *, layer: str | None, g_max: float) -> list[ConductanceTable]:
        """Write conductances in siemens, of one layer or of all, see `export_table`."""
        return export_table(self.network, file, layers=None if layer is None else (layer,), g_max=g_max)


def _saved(source: Path | str, data_dir: Path | None) -> Source:
    network, description = load(source), about(source)
    name, measured = Path(source).name, description.accuracy or {}
    if not isinstance(network, ImageClassifier):
        return Source(name, network, None, None, None)
    dataset = measured.get("dataset")
    known = {"test_accuracy": measured.get("test_accuracy"), "command": description.command}
    return Source(
        name,
        network.network,
        network.preprocessing,
        network.classes,
        *_images(network, dataset, data_dir),
        dataset if isinstance(dataset, str) else None,
        {key: value for key, value in known.items() if value is not None},
    )


def _images(network: ImageClassifier, dataset: Any, data_dir: Path | None) -> tuple[Tensor, Tensor | None]:
    """Test images of the data set that a network was tested on, and their classes; random ones where it is not here."""
    shape = network.input_shape
    try:
        if isinstance(dataset, str):
            height = DataConfig.image_size if shape is None else shape[1]
            found: Dataset = load_dataset(dataset, data_dir, download=False, image_size=height)
            return found.test.pixels, found.test.labels
    except DataError:
        if data_dir is not None:
            raise
    if shape is None:
        raise SavedNetworkError("the saved network does not say of what size its images are; save it with input_shape")
    drawn = torch.Generator().manual_seed(0)
    return torch.randint(0, FULL + 1, (_SCALING_IMAGES, *shape), generator=drawn, dtype=torch.uint8), None
