"""The config of a run: every choice that decides its result, in one frozen record.

The text under each field is the help that ``conductance train PRESET --help`` shows.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from conductance.bounds import require_within
from conductance.errors import InputError, UnknownNameError
from conductance.printable import check_name, is_printable, printable
from conductance.runs.earlier import with_every_field
from conductance.runs.kinds import shown
from conductance.runs.typed import fits, in_words

Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    architecture: str = "cnn"
    """fcn, cnn or resnet18"""
    family: str = "cwa"
    """kind of its hidden layers: cwa, cwa_li, cwa_bn, affine, affine_bn or absnorm"""
    widths: tuple[int, ...] | None = None
    """units of each hidden layer (resnet18: of each stage); the paper's if not given"""
    shortcut: Literal["sum", "mean", "conductance"] | None = None
    """resnet18: how a shortcut joins its branch; the family's own if not given"""
    branch_scale: float | None = None
    """resnet18: initial value of a learned weight of each residual branch; no such weight if not given"""
    kernel: int | None = None
    """cnn: size of every kernel after the first, which is 5; an odd number; 3 if not given"""
    dropout: float | None = None
    """fcn: share of each hidden layer's units that are silent in a training step; none if not given"""


@dataclass(frozen=True)
class ConductanceConfig:
    """The conductance layers: families cwa, cwa_li and cwa_bn; resting, activation and gate for absnorm too."""

    nonnegative: Literal["clamped", "rectified", "softplus", "exp"] = "clamped"
    """how conductances are kept non-negative"""
    initialization: Literal["default", "glorot", "lognormal", "exponential"] = "lognormal"
    """initial distribution of the conductances; default: the layers' own start, without data; glorot: the paper's"""
    sigma: float = 1.5
    """lognormal: standard deviation of the logarithm"""
    twin: bool = True
    """start inhibitory units as copies of the excitatory ones"""
    balance: bool = True
    """scale each unit's inhibition so that mean E = mean I on one batch"""
    excitatory_share: float = 0.5
    """share of excitatory units in each hidden layer"""
    resting_conductance: float = 1.0
    """G_r of every unit"""
    resting_potential: float = 0.0
    """e_r of every unit, in [-1, 1]"""
    learn_resting: bool = False
    """each unit learns its resting conductance and potential"""
    resting_share: float | None = None
    """initial G_r as a share of the synaptic conductance of a unit on one batch, instead of resting_conductance"""
    activation: Literal["relu", "full_range"] = "relu"
    """relu: p = max(z, 0); full_range: p = (1 + z)/2, without an activation function (fcn, cnn)"""
    learn_gate: bool = False
    """each unit learns the threshold and the width of its gate (paper eq. 1)"""
    detached_denominator: bool = False
    """treat the total conductance as a constant in the backward pass"""
    pooled_interneuron: bool = False
    """one interneuron at each position sits at the mean potential of a layer's units and acts back on all of them: the
    forward half of BatchNorm (its mean, over channels instead of images), by a circuit (cwa, cwa_bn, absnorm)"""
    interneurons: float = 0.25
    """cwa_li: number of interneurons for each unit"""
    slices: int = 2
    """cwa_li: number of time slices in which units and interneurons act on each other"""


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
    """how pixels are scaled. scaled: to [-0.3, 1], then clipped at 0 (the paper's for conductances); unit: to [0, 1],
    nothing clipped; whitened: mean 0, variance 1; the family's own if not given"""
    augmentation: Literal["none", "shift", "shift_flip", "deform", "deform_flip"] = "none"
    """random changes to every training image: a shift by up to max_shift pixels; deform: also a turn and a stretch of
    each axis; flip: also a horizontal flip"""
    max_shift: int = 4
    """pixels"""
    max_turn: float = 10.0
    """deform: degrees, in either direction"""
    max_stretch: float = 0.15
    """deform: an axis becomes longer or shorter by up to this factor (0.15: 15 %)"""
    max_mix: float = 0.0
    """mixup: largest share of another image (and its class) that is mixed into each image, at most 0.5"""
    validation_images: int = 0
    """training images held out to choose by, never trained on; 0: the folder's own val/ if it has one, else none"""


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer: the rule named here for the synapses of hidden layers, Adam for all other weights."""

    name: Literal["muon", "adam", "sgd", "eg"] = "muon"
    """rule for the synapses of hidden layers; eg is exponentiated gradient"""
    learning_rate: float = 0.1
    """step of these synapses, as a share of their initial mean"""
    readout_learning_rate: float = 3e-3
    """step of all other weights"""
    leak_learning_rate: float | None = None
    """step of learned leaks, as a share of the total conductance of a unit; readout_learning_rate if not given"""
    momentum: float | None = None
    """momentum of muon, sgd and eg; 0.95, 0.9 and 0.9 if not given"""
    block: int = 32
    """muon: number of units whose steps are orthogonalized together"""
    betas: tuple[float, float] = (0.9, 0.99)
    """adam: decay of its running means"""
    centered: bool = False
    """remove from each gradient the part that shifts a unit's mean excitation or inhibition; leaks learn thresholds"""
    homeostasis: float = 0.0
    """rate at which each unit's inhibition follows its excitation, in each step; 0 turns it off"""
    weight_average: float = 0.0
    """decay of a running mean of all weights, which is then tested and kept; 0 turns it off"""
    label_smoothing: float = 0.0
    """share of the target probability that is spread over all classes"""


@dataclass(frozen=True)
class TeacherConfig:
    """Distillation: the network also learns the answers of another network."""

    run: str | None = None
    """folder of a finished run on the same data set; no teacher if not given"""
    share: float = 0.9
    """share of the loss that measures the distance from the teacher's answers; the rest is the loss of the labels"""
    temperature: float = 2.0
    """both networks' logits are divided by it: the higher, the more the unlikely classes count"""


@dataclass(frozen=True)
class ProtocolConfig:
    """The schedule of the step size, and when training stops."""

    name: Literal["onecycle", "paper", "constant"] = "onecycle"
    """onecycle: up, then down to 0 over the given epochs; paper: divide by 10 on a plateau, stop when fitted; constant:
    neither"""
    warmup: float = 0.2
    """onecycle: share of the steps before the peak"""
    patience: int = 25
    """paper: epochs without a lower training loss before the step size is divided by 10"""
    stop_train_accuracy: float = 99.4
    """paper: training accuracy (%) above which training stops"""


@dataclass(frozen=True)
class RunConfig:
    """A complete run. A preset is a function that returns one of these."""

    name: str
    """name of the run in tables"""
    epochs: int = 10
    """passes over the training images (protocol paper: an upper bound)"""
    seed: int = 0
    """determines initial weights, order of the images and augmentation"""
    precision: Precision = "no"
    """mixed precision; no is float32 throughout"""
    accumulate: int = 1
    """number of batches whose gradients are added up for one step"""
    model: ModelConfig = field(default_factory=ModelConfig)
    conductance: ConductanceConfig = field(default_factory=ConductanceConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)

    def __post_init__(self) -> None:
        if isinstance(self.name, str):
            check_name("name", self.name)
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
        for name, size, largest, of_work in (
            ("epochs", self.epochs, 10**6, True),
            ("accumulate", self.accumulate, 10**6, False),
            ("data.batch_size", self.data.batch_size, 10**9, False),
            ("data.image_size", self.data.image_size, 2**13, False),
            ("data.validation_images", self.data.validation_images, 10**9, False),
            ("data.max_shift", self.data.max_shift, 2**13, False),
            ("data.max_stretch", self.data.max_stretch, 100, False),
            ("data.max_turn", self.data.max_turn, 360, False),
            ("optimizer.block", self.optimizer.block, 10**9, False),
            ("protocol.patience", self.protocol.patience, 10**6, False),
            ("conductance.slices", self.conductance.slices, 1000, False),
            ("model.kernel", self.model.kernel or 0, 2**13, False),
            ("conductance.interneurons", self.conductance.interneurons, 10**9, False),
        ):
            require_within(name, size, largest, work=size if of_work else None)
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
                "conductance.activation=full_range: only for the families cwa and absnorm in fcn and cnn; elsewhere "
                "outputs must be rectified"
            )
        if self.data.preprocessing == "whitened" and not self.model.family.startswith("affine"):
            raise InputError(
                f"data.preprocessing=whitened: the inputs of {self.model.family} are open probabilities in [0, 1]; "
                "choose scaled or unit"
            )
        if self.conductance.pooled_interneuron and self.model.family not in ("cwa", "cwa_bn", "absnorm"):
            raise InputError(
                f"conductance.pooled_interneuron: the layers of {self.model.family} have none; choose the family cwa, "
                "cwa_bn or absnorm"
            )
        if self.conductance.learn_gate and self.conductance.activation == "full_range":
            raise InputError(
                "conductance.learn_gate: a gate replaces the activation; leave out conductance.activation=full_range"
            )
        if self.conductance.learn_gate and self.model.family == "cwa_bn":
            raise InputError(
                "conductance.learn_gate: in cwa_bn BatchNorm learns threshold and width already; leave it out"
            )
        momentum, betas, widths = self.optimizer.momentum, self.optimizer.betas, self.model.widths
        if momentum is not None and not 0 <= momentum < 1:
            raise InputError(f"optimizer.momentum={momentum}: must lie in [0, 1)")
        if momentum is not None and self.optimizer.name == "adam":
            raise InputError(f"optimizer.momentum={momentum}: adam has no momentum; set optimizer.betas")
        if self.optimizer.name == "eg" and self.conductance.nonnegative != "clamped":
            raise InputError("optimizer.name=eg multiplies conductances: choose conductance.nonnegative=clamped")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise InputError(f"optimizer.betas={betas}: must be two numbers in [0, 1)")
        if widths is not None and not (widths and min(widths) >= 1):
            raise InputError(f"model.widths={widths}: must be one number or more, each at least 1")
        if self.data.image_size != DataConfig.image_size and self.data.dataset != "folder":
            raise InputError(
                f"data.image_size={self.data.image_size}: the images of {self.data.dataset} have a size of their own; "
                "leave it out, or choose --data.dataset folder"
            )
        if self.data.batch_size == 1 and self.model.family.endswith("_bn"):
            raise InputError("data.batch_size=1: BatchNorm needs more than one image; choose at least 2")

    def to_dict(self) -> dict[str, Any]:
        """The config as plain values, for JSON."""
        return dataclasses.asdict(self)


def _check_choices(prefix: str, part: Any) -> None:
    for name, kind in get_type_hints(type(part)).items():
        value = getattr(part, name)
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, kind):  # type: ignore[arg-type]
                wanted = getattr(kind, "__name__", kind)
                raise InputError(f"{prefix}{name} must be a {wanted}, not a {type(value).__name__}")
            continue
        if not fits(kind, value):
            raise InputError(f"{prefix}{name}={shown(value)}: must be {in_words(kind)}")
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise UnknownNameError(prefix + name, value, get_args(kind))
        if isinstance(value, str) and not is_printable(value):
            raise InputError(f"{prefix}{name}={printable(value)[:80]}: holds characters that cannot be shown")
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


def _build(kind: type[Any], values: Any) -> Any:
    types = get_type_hints(kind)
    if not isinstance(values, dict):
        raise InputError(f"{shown(values)} stands where the fields of a {kind.__name__} should")
    for what, names in (("has no field", set(values) - set(types)), ("lacks the field", set(types) - set(values))):
        if names:
            here = kind.__name__ if what == "has no field" else f"this {kind.__name__}"
            raise InputError(f"{here} {what} {', '.join(sorted(names)):.200}; another version wrote this config")
    return kind(**{name: _restore(types[name], value) for name, value in values.items()})


def _restore(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(kind, value)  # type: ignore[arg-type]
    if isinstance(value, list):
        return tuple(value)
    wants_float = kind is float or (isinstance(kind, UnionType) and float in get_args(kind))
    return float(value) if wants_float and type(value) is int else value
