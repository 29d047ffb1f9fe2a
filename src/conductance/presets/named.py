"""Presets: named runs, each a plain function that returns a complete config.

A function here stands for one data set and architecture and takes the layer family; a preset's name joins the three,
as in ``mnist-cnn-cwa``. ``mnist-cnn-cwa-pooled`` is the same with a pooled interneuron in each layer, which the paper
does not have. What was chosen by measurement says so where it stands; the rest is the paper's.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from conductance.errors import UnknownNameError
from conductance.models import FAMILIES, get_family
from conductance.runs.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
)
from conductance.runs.names import preset_name

Preset = Callable[[], RunConfig]

# As a share of a layer's mean conductance: the paper's 1e-5 would take 1e5 steps to silence a synapse. Chosen, as the
# other settings, by validation accuracy (studies/ablation, studies/preset_choices).
SYNAPTIC_STEP = 0.1

# ResNet-18 is three times as deep as the CNN, and no layer may change faster than those behind it follow.
DEEP_STEP = 0.03

# Without a normalization an affine network's outputs grow with its weights: at 0.1 the CIFAR-10 CNN falls apart.
AFFINE_STEP = 0.03

# Of all synapses of a unit together: the leaks are what learns thresholds where gradients are centered.
LEAK_STEP = 1e-3


def _run(
    dataset: str, architecture: str, family: str, *, epochs: int, widths: tuple[int, ...] | None = None
) -> RunConfig:
    return RunConfig(
        name=preset_name(dataset, architecture, family),
        epochs=epochs,
        model=ModelConfig(architecture, family, widths),
        data=DataConfig(dataset),
        optimizer=OptimizerConfig("adam", SYNAPTIC_STEP, readout_learning_rate=3e-3, label_smoothing=0.1),
    )


def digits_fcn(family: str) -> RunConfig:
    """1,797 digits of 8x8 pixels, two hidden layers of 400: seconds."""
    return _in_small_batches(_run("digits", "fcn", family, epochs=25, widths=(400, 400)))


def digits_cnn(family: str) -> RunConfig:
    """1,797 digits of 8x8 pixels, two convolutions of 64 and 128 channels: seconds."""
    return _in_small_batches(_run("digits", "cnn", family, epochs=25, widths=(64, 128)))


def mnist_fcn(family: str, dataset: str = "mnist") -> RunConfig:
    """Two hidden layers of 2000 (paper section 4.3)."""
    config = _shifted(_run(dataset, "fcn", family, epochs=20))
    return replace(config, optimizer=replace(config.optimizer, readout_learning_rate=1e-3))


def mnist_cnn(family: str, dataset: str = "mnist") -> RunConfig:
    """Four convolutions of 32 to 256 channels (paper section 4.3)."""
    return _shifted(_run(dataset, "cnn", family, epochs=20))


def cifar10_fcn(family: str) -> RunConfig:
    """Hidden layers of 2000, 1000 and 500 (paper section 4.3), in few large steps, for Muon's are dear here.

    Shifts by up to 2 pixels, not the paper's 4: a network that must learn each position by itself fits more of them.
    """
    config = _shifted_and_flipped(_run("cifar10", "fcn", family, epochs=30), batch_size=1000, max_shift=2)
    optimizer = OptimizerConfig("muon", 0.15, 3e-3, LEAK_STEP, block=128, label_smoothing=0.1, centered=True)
    return _modern(config, optimizer)


def cifar10_cnn(family: str) -> RunConfig:
    """Five convolutions of 32 to 512 channels (paper section 4.3).

    Centered gradients are ahead in the first epochs and behind at the end (docs/training.md).
    """
    config = _shifted_and_flipped(_run("cifar10", "cnn", family, epochs=30), batch_size=125)
    return _modern(config, OptimizerConfig("muon", SYNAPTIC_STEP, 1e-2, label_smoothing=0.1))


def resnet18(family: str, dataset: str) -> RunConfig:
    """ResNet-18 (He et al. 2016), the same for every data set (paper section 4.3).

    As small networks of its kind say (studies/shortcuts); at full size it has been trained for ten epochs.
    """
    augmented = _shifted_and_flipped if dataset == "cifar10" else _shifted
    config = augmented(_run(dataset, "resnet18", family, epochs=30), batch_size=125)
    return _modern(config, OptimizerConfig("muon", DEEP_STEP, 1e-2, label_smoothing=0.1, centered=True))


def _modern(config: RunConfig, optimizer: OptimizerConfig) -> RunConfig:
    """Muon, learnt leaks that start small, pixels unclipped: chosen on CIFAR-10's training and validation images."""
    family = get_family(config.model.family)
    if family.name == "affine":
        optimizer = replace(optimizer, learning_rate=AFFINE_STEP)
    if not family.averages:  # behind BatchNorm they are of this kind anyway; for affine ones see docs/training.md
        optimizer = replace(optimizer, centered=False, leak_learning_rate=None)
    return replace(
        config,
        conductance=ConductanceConfig(resting_conductance=0.1, learn_resting=True),
        data=replace(config.data, preprocessing="unit" if family.preprocessing == "scaled" else None),
        optimizer=optimizer,
    )


def _in_small_batches(config: RunConfig) -> RunConfig:
    """Of 50 images: a small data set has few of them."""
    return replace(config, data=replace(config.data, batch_size=50))


def _shifted(config: RunConfig, **choices: Any) -> RunConfig:
    """Shifts by up to 2 pixels. The paper has none for MNIST; without them accuracy is lower, see results/README.md."""
    return replace(config, data=replace(config.data, augmentation="shift", max_shift=2, **choices))


def _shifted_and_flipped(config: RunConfig, **choices: Any) -> RunConfig:
    """Shifts by up to 4 pixels and flips, as in the paper for CIFAR-10 (section 4.1)."""
    return replace(config, data=replace(config.data, augmentation="shift_flip", **{"max_shift": 4, **choices}))


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

# Families that are compared with a pooled interneuron and without.
POOLED = ("cwa", "absnorm")


def _pooled(config: Callable[[str], RunConfig], family: str) -> RunConfig:
    """The same run with a pooled interneuron: other steps and momenta were no better (studies/pooled)."""
    plain = config(family)
    return replace(plain, name=f"{plain.name}-pooled", conductance=replace(plain.conductance, pooled_interneuron=True))


def _presets(prefix: str, config: Callable[[str], RunConfig]) -> dict[str, Preset]:
    """Those of one data set and architecture, by name."""
    plain: dict[str, Preset] = {f"{prefix}-{family}": partial(config, family) for family in FAMILIES}
    return plain | {f"{prefix}-{family}-pooled": partial(_pooled, config, family) for family in POOLED}


PRESETS: dict[str, Preset] = {
    name: preset
    for prefix, config in _BY_DATASET_AND_ARCHITECTURE.items()
    for name, preset in _presets(prefix, config).items()
}


def get_preset(name: str) -> RunConfig:
    """The config of a preset.

    Raises:
        UnknownNameError: no such preset; names the nearest.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]()
