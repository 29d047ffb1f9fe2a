"""What a run is: every choice that decides its result, in one frozen record.

The text under each field is the help that ``conductance train PRESET --help`` shows.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from conductance.errors import InputError, UnknownNameError
from conductance.runs.earlier import with_every_field

Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    architecture: str = "cnn"
    """fcn, cnn or resnet18"""
    family: str = "cwa"
    """what its hidden layers are made of: cwa, cwa_li, cwa_bn, affine, affine_bn or absnorm"""
    widths: tuple[int, ...] | None = None
    """units of each hidden layer (for resnet18: of each stage); the paper's where left out"""
    shortcut: Literal["sum", "mean", "conductance"] | None = None
    """resnet18: how a shortcut joins; the family's own where left out"""
    branch_scale: float | None = None
    """resnet18: where the learnt weight of each residual branch starts; no such weight where left out"""
    kernel: int | None = None
    """cnn: size of every kernel after the first, which is 5; odd; 3 where left out"""
    dropout: float | None = None
    """fcn: share of each hidden layer's units that are silent in a training step; none where left out"""


@dataclass(frozen=True)
class ConductanceConfig:
    """The conductance layers (families cwa, cwa_li and cwa_bn; the terms of the membrane for absnorm too)."""

    nonnegative: Literal["rectified", "exp", "softplus", "projected"] = "projected"
    """how a conductance stays non-negative"""
    initialization: Literal["glorot", "lognormal", "exponential"] = "lognormal"
    """distribution of the conductances at the start; glorot is the paper's"""
    sigma: float = 1.5
    """standard deviation of the log-conductance, for lognormal"""
    twin: bool = True
    """start each layer's inhibitory units as copies of its excitatory ones"""
    balance: bool = True
    """scale inhibition so that each unit starts with mean E = mean I on one batch"""
    excitatory_share: float = 0.5
    """share of excitatory units in each hidden layer"""
    resting_conductance: float = 1.0
    """G_r of every unit"""
    resting_potential: float = 0.0
    """e_r of every unit, in [-1, 1]"""
    learn_resting: bool = False
    """let each unit learn its resting conductance and potential"""
    resting_share: float | None = None
    """G_r at the start as a share of the synaptic conductance that a unit sees on one batch, instead of one number"""
    activation: Literal["relu", "full_range"] = "relu"
    """relu: p = max(z, 0); full_range: p = (1 + z)/2, no activation function but the average itself (fcn, cnn)"""
    learn_gate: bool = False
    """let each unit learn the threshold and the width of its gate (paper eq. 1)"""
    detached_denominator: bool = False
    """take the total conductance for a constant in the backward pass"""
    interneurons: float = 0.25
    """cwa_li: interneurons for lateral inhibition, per unit"""
    slices: int = 2
    """cwa_li: time slices in which units and interneurons act on each other"""


@dataclass(frozen=True)
class DataConfig:
    """The images."""

    dataset: str = "digits"
    """digits, mnist, fashion_mnist, cifar10 or cifar100; or folder: your own images in --data-dir, one subfolder for
    each class"""
    image_size: int = 32
    """folder: height and width that every image is resized to, in pixels"""
    batch_size: int = 100
    """images in a batch (on each process)"""
    preprocessing: Literal["scaled", "unit", "whitened"] | None = None
    """what becomes of a pixel. scaled: to [-0.3, 1], clipped at 0 (the paper's for conductances); unit: to [0, 1], so
    that dark pixels differ; whitened: mean 0, variance 1; the family's own where left out"""
    augmentation: Literal["none", "shift", "shift_flip", "deform", "deform_flip"] = "none"
    """what is drawn anew for every image: a shift by up to `max_shift` pixels, for deform with a turn and a stretch of
    each axis, and a horizontal flip"""
    max_shift: int = 4
    """pixels"""
    max_turn: float = 10.0
    """deform: degrees, either way"""
    max_stretch: float = 0.15
    """deform: an axis becomes up to so much longer (0.15: 15 %), or shorter by the same factor"""
    max_mix: float = 0.0
    """mixup: each image is mixed with another, and its class too: the largest share of the other, at most 0.5"""
    validation_images: int = 0
    """training images held out to choose by, never trained on; 0: the folder's own val/ if it has one, else none"""


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move: the synapses of hidden layers by the rule named here, all other weights by Adam."""

    name: Literal["muon", "adam", "sgd", "eg"] = "muon"
    """rule for the synapses of hidden layers; eg: exponentiated gradient"""
    learning_rate: float = 0.1
    """step of these synapses, as a share of their mean size at the start"""
    readout_learning_rate: float = 3e-3
    """step of all other weights"""
    leak_learning_rate: float | None = None
    """step of learnt leaks, as a share of what a unit's synapses have together; as all other weights where left out"""
    momentum: float | None = None
    """of muon, sgd and eg; 0.95, 0.9 and 0.9 where left out"""
    block: int = 32
    """muon: units of a layer whose steps are made orthogonal together"""
    betas: tuple[float, float] = (0.9, 0.99)
    """decay of Adam's running means"""
    centered: bool = False
    """take out of each gradient what moves a unit's mean excitation or inhibition; leaks learn the thresholds"""
    homeostasis: float = 0.0
    """rate at which each unit's inhibition follows its excitation, step by step; 0: not at all"""
    weight_average: float = 0.0
    """decay of the running mean of all weights, which is what is tested and kept; 0: the weights themselves"""
    label_smoothing: float = 0.0
    """share of the target probability spread over all classes"""


@dataclass(frozen=True)
class TeacherConfig:
    """Whose answers the network learns, beside the labels (distillation)."""

    run: str | None = None
    """folder of a finished run on the same data set; no teacher where left out"""
    share: float = 0.9
    """share of the loss that is the distance from the teacher's answers; the rest is that from the labels"""
    temperature: float = 2.0
    """logits are divided by it in both answers: the higher, the more the unlikely classes count"""


@dataclass(frozen=True)
class ProtocolConfig:
    """When the step size changes, and when training stops."""

    name: Literal["onecycle", "paper"] = "onecycle"
    """onecycle: up, then down to 0 over the given epochs. paper: divide by 10 on a plateau, stop once fitted"""
    warmup: float = 0.2
    """onecycle: share of the steps that lead up to the peak"""
    patience: int = 25
    """paper: epochs without a lower training loss before the step size is divided by 10"""
    stop_train_accuracy: float = 99.4
    """paper: training accuracy (%) above which training stops"""


@dataclass(frozen=True)
class RunConfig:
    """A complete run. A preset is a function that returns one of these."""

    name: str
    """what the run is called in tables"""
    epochs: int = 10
    """passes over the training images (protocol paper: at most)"""
    seed: int = 0
    """decides the initial weights, the order of the images and their augmentation"""
    precision: Precision = "no"
    """mixed precision; no: float32 throughout"""
    accumulate: int = 1
    """batches whose gradients make one step"""
    model: ModelConfig = field(default_factory=ModelConfig)
    conductance: ConductanceConfig = field(default_factory=ConductanceConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)

    def __post_init__(self) -> None:
        for part in ("", "model.", "conductance.", "data.", "optimizer.", "teacher.", "protocol."):
            _check_choices(part, getattr(self, part[:-1]) if part else self)
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("accumulate", self.accumulate, 1),
            ("data.batch_size", self.data.batch_size, 1),
            ("data.image_size", self.data.image_size, 1),
            ("data.validation_images", self.data.validation_images, 0),
            ("data.max_shift", self.data.max_shift, 0),
            ("data.max_turn", self.data.max_turn, 0),
            ("data.max_stretch", self.data.max_stretch, 0),
            ("optimizer.block", self.optimizer.block, 1),
            ("protocol.patience", self.protocol.patience, 1),
        ):
            if not least <= value < float("inf"):
                raise InputError(f"{name}={value}: must be at least {least}, and finite")
        for name, fraction, most in (
            ("seed", self.seed, 2**32 - 1),
            ("optimizer.label_smoothing", self.optimizer.label_smoothing, 1),
            ("optimizer.homeostasis", self.optimizer.homeostasis, 1),
            ("protocol.warmup", self.protocol.warmup, 1),
            ("data.max_mix", self.data.max_mix, 0.5),
            ("teacher.share", self.teacher.share, 1),
        ):
            if not 0 <= fraction <= most:
                raise InputError(f"{name}={fraction}: must lie in [0, {most}]")
        for name, positive in (
            ("optimizer.learning_rate", self.optimizer.learning_rate),
            ("optimizer.readout_learning_rate", self.optimizer.readout_learning_rate),
            ("optimizer.leak_learning_rate", self.optimizer.leak_learning_rate),
            ("conductance.resting_share", self.conductance.resting_share),
            ("teacher.temperature", self.teacher.temperature),
        ):
            if positive is not None and not 0 < positive < float("inf"):
                raise InputError(f"{name}={positive}: must be positive and finite")
        decay = self.optimizer.weight_average
        if not 0 <= decay < 1:
            raise InputError(f"optimizer.weight_average={decay}: must lie in [0, 1)")
        if self.conductance.activation == "full_range" and (
            self.model.family not in ("cwa", "absnorm") or self.model.architecture == "resnet18"
        ):
            raise InputError(
                "conductance.activation=full_range: for the families cwa and absnorm in fcn and cnn; what "
                "interneurons, BatchNorm and residual sums give is rectified"
            )
        if self.data.preprocessing == "whitened" and not self.model.family.startswith("affine"):
            raise InputError(
                f"data.preprocessing=whitened: the inputs of {self.model.family} are open probabilities in [0, 1]; "
                "choose scaled or unit"
            )
        if self.conductance.learn_gate and self.conductance.activation == "full_range":
            raise InputError("conductance.learn_gate: a gate cuts z off; leave out conductance.activation=full_range")
        if self.conductance.learn_gate and self.model.family == "cwa_bn":
            raise InputError("conductance.learn_gate: in cwa_bn the gate comes after BatchNorm, which has both already")
        momentum, betas, widths = self.optimizer.momentum, self.optimizer.betas, self.model.widths
        if momentum is not None and not 0 <= momentum < 1:
            raise InputError(f"optimizer.momentum={momentum}: must lie in [0, 1)")
        if momentum is not None and self.optimizer.name == "adam":
            raise InputError(f"optimizer.momentum={momentum}: adam has betas instead")
        if self.optimizer.name == "eg" and self.conductance.nonnegative != "projected":
            raise InputError("optimizer.name=eg multiplies conductances: choose conductance.nonnegative=projected")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise InputError(f"optimizer.betas={betas}: must be two numbers in [0, 1)")
        if widths is not None and not (widths and min(widths) >= 1):
            raise InputError(f"model.widths={widths}: must be one number or more, each at least 1")
        if self.data.batch_size == 1 and self.model.family.endswith("_bn"):
            raise InputError("data.batch_size=1: BatchNorm learns nothing from one image; choose at least 2")

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)


def _check_choices(prefix: str, part: Any) -> None:
    for name, kind in get_type_hints(type(part)).items():
        value = getattr(part, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise UnknownNameError(prefix + name, str(value), get_args(kind))
        if value == "None" and type(None) in get_args(kind):
            raise InputError(
                f"{prefix}{name}='None' reads as none at all on the command line; if it is a folder, write ./None"
            )


def config_from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The inverse of `RunConfig.to_dict`, for values that went through JSON; also for configs of earlier versions.

    Raises:
        InputError: a field that no `RunConfig` has, or one that is missing.
    """
    return _build(RunConfig, with_every_field(values))


def _build(kind: type[Any], values: dict[str, Any]) -> Any:
    types = get_type_hints(kind)
    for what, names in (("has no field", set(values) - set(types)), ("lacks the field", set(types) - set(values))):
        if names:
            here = kind.__name__ if what == "has no field" else f"this {kind.__name__}"
            raise InputError(f"{here} {what} {', '.join(sorted(names))}; another version wrote this config")
    return kind(**{name: _restore(types[name], value) for name, value in values.items()})


def _restore(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(kind, value)  # type: ignore[arg-type]
    if isinstance(value, list):
        return tuple(value)
    if kind is float or (isinstance(kind, UnionType) and float in get_args(kind) and value is not None):
        return float(value)
    return value
