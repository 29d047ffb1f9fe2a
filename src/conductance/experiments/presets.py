"""Presets: named runs, each a plain function that returns a complete config.

A function here stands for one data set and architecture and takes the layer family; a preset's name joins the three,
as in ``mnist-cnn-cwa``. What was chosen by measurement says so where it stands; the rest is the paper's.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from conductance.errors import UnknownNameError
from conductance.models import FAMILIES
from conductance.training.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
)

Preset = Callable[[], RunConfig]

# Chosen by validation accuracy on MNIST, see results/README.md: Adam moves a conductance by about its step size, and
# the conductances start with mean 1.
CONDUCTANCE_STEP = 1e-1


def _run(
    dataset: str, architecture: str, family: str, *, epochs: int, widths: tuple[int, ...] | None = None
) -> RunConfig:
    return RunConfig(
        name=f"{dataset.replace('_', '-')}-{architecture}-{family}",
        epochs=epochs,
        model=ModelConfig(architecture, family, widths),
        conductance=ConductanceConfig(),
        data=DataConfig(dataset),
        optimizer=OptimizerConfig(learning_rate=CONDUCTANCE_STEP),
    )


def digits_fcn(family: str) -> RunConfig:
    """1,797 digits of 8x8 pixels, two hidden layers of 200: seconds."""
    config = _run("digits", "fcn", family, epochs=30, widths=(200, 200))
    return replace(config, data=replace(config.data, batch_size=32))


def digits_cnn(family: str) -> RunConfig:
    """1,797 digits of 8x8 pixels, three convolutions of 32, 64 and 128 channels: seconds."""
    config = _run("digits", "cnn", family, epochs=30, widths=(32, 64, 128))
    return replace(config, data=replace(config.data, batch_size=32))


def mnist_fcn(family: str, dataset: str = "mnist") -> RunConfig:
    """Two hidden layers of 2000 (paper section 4.3)."""
    return _run(dataset, "fcn", family, epochs=30)


def mnist_cnn(family: str, dataset: str = "mnist") -> RunConfig:
    """Four convolutions of 32 to 256 channels (paper section 4.3)."""
    return _run(dataset, "cnn", family, epochs=30)


def cifar10_fcn(family: str) -> RunConfig:
    """Hidden layers of 2000, 1000 and 500 (paper section 4.3)."""
    return _augmented(_run("cifar10", "fcn", family, epochs=30))


def cifar10_cnn(family: str) -> RunConfig:
    """Five convolutions of 32 to 512 channels (paper section 4.3)."""
    return _augmented(_run("cifar10", "cnn", family, epochs=30))


def resnet18(family: str, dataset: str) -> RunConfig:
    """ResNet-18 (He et al. 2016), the same for every data set (paper section 4.3)."""
    config = _run(dataset, "resnet18", family, epochs=30)
    return _augmented(config) if dataset == "cifar10" else config


def _augmented(config: RunConfig) -> RunConfig:
    """Shifts by up to 4 pixels and flips, for CIFAR-10 alone (paper section 4.1)."""
    return replace(config, data=replace(config.data, augmentation="shift_flip"))


_BY_DATASET_AND_ARCHITECTURE: dict[str, Callable[[str], RunConfig]] = {
    "digits-fcn": digits_fcn,
    "digits-cnn": digits_cnn,
    "mnist-fcn": mnist_fcn,
    "mnist-cnn": mnist_cnn,
    "mnist-resnet18": partial(resnet18, dataset="mnist"),
    "fashion-mnist-fcn": partial(mnist_fcn, dataset="fashion_mnist"),
    "fashion-mnist-cnn": partial(mnist_cnn, dataset="fashion_mnist"),
    "fashion-mnist-resnet18": partial(resnet18, dataset="fashion_mnist"),
    "cifar10-fcn": cifar10_fcn,
    "cifar10-cnn": cifar10_cnn,
    "cifar10-resnet18": partial(resnet18, dataset="cifar10"),
}

PRESETS: dict[str, Preset] = {
    f"{prefix}-{family}": partial(config, family)
    for prefix, config in _BY_DATASET_AND_ARCHITECTURE.items()
    for family in FAMILIES
}


def get_preset(name: str) -> RunConfig:
    """The config of a preset.

    Raises:
        UnknownNameError: no such preset; names the nearest.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]()
