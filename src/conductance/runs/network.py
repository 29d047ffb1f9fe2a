"""The network of a config, its initialization, and the preprocessing of its images."""

from typing import Any

import torch
from torch import Tensor, nn

from conductance import init
from conductance.data import Dataset, Images, Preprocessing
from conductance.errors import InputError
from conductance.models import create_model, get_family
from conductance.nn import ConductanceLayer
from conductance.runs.config import ConductanceConfig, ModelConfig, RunConfig

BALANCE_IMAGES = 500


def layer_options(config: RunConfig) -> dict[str, Any]:
    """The arguments of every hidden layer that its family has."""
    choices = config.conductance
    membrane: dict[str, Any] = {
        "resting_conductance": choices.resting_conductance,
        "resting_potential": choices.resting_potential,
        "learn_resting": choices.learn_resting,
        "activation": choices.activation,
        "learn_gate": choices.learn_gate,
        "detached_denominator": choices.detached_denominator,
    }
    if choices.pooled_interneuron:
        membrane |= {"pooled_interneuron": True}
    if config.model.family == "cwa_li":
        membrane |= {"interneurons": choices.interneurons, "slices": choices.slices}
    if config.model.family in ("cwa", "cwa_li", "cwa_bn"):
        return {"nonnegative": choices.nonnegative, "excitatory_share": choices.excitatory_share, **membrane}
    return membrane if config.model.family == "absnorm" else {}


_OF_ONE_ARCHITECTURE = {"shortcut": "resnet18", "branch_scale": "resnet18", "kernel": "cnn", "dropout": "fcn"}


def _given(choices: ModelConfig) -> dict[str, Any]:
    """The arguments of the architecture that are set."""
    given = {name: getattr(choices, name) for name in ("widths", *_OF_ONE_ARCHITECTURE)}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        owner = _OF_ONE_ARCHITECTURE.get(name, choices.architecture)
        if choices.architecture != owner:
            raise InputError(f"model.{name}={value}: only for {owner}, not for {choices.architecture}; leave it out")
    return given


def build_network(config: RunConfig, dataset: Dataset) -> nn.Module:
    """The network of a config, with the default initialization of its family.

    Raises:
        UnknownNameError: no such architecture or family.
        InputError: a setting that the architecture does not have.
    """
    return create_model(
        config.model.architecture,
        config.model.family,
        dataset.input_shape,
        dataset.num_classes,
        layer_options=layer_options(config),
        **_given(config.model),
    )


def initialize(network: nn.Module, choices: ConductanceConfig, batch: Tensor) -> None:
    """Draw, pair and balance the conductances as ``choices`` says; a network without conductances is left as it is."""
    if not any(isinstance(layer, ConductanceLayer) for layer in network.modules()):
        return
    if choices.initialization == "default":
        return
    if choices.initialization == "glorot":
        init.glorot_(network)
    elif choices.initialization == "lognormal":
        init.lognormal_(network, choices.sigma)
    elif choices.initialization == "exponential":
        init.exponential_(network)
    if choices.twin:
        init.twin_(network)
    if choices.resting_share is not None:
        init.scale_leak_(network, batch, choices.resting_share)
    if choices.balance:
        init.balance_(network, batch)


def start(config: RunConfig, dataset: Dataset) -> tuple[nn.Module, Preprocessing]:
    """The network and its preprocessing as a run starts with them that trains on all training images; on the CPU."""
    torch.manual_seed(config.seed)
    preprocessing = build_preprocessing(config, dataset.train)
    network = build_network(config, dataset)
    initialize(network, config.conductance, preprocessing(dataset.train.pixels[:BALANCE_IMAGES]))
    return network, preprocessing


def kind_of_preprocessing(config: RunConfig) -> str:
    """The preprocessing that the config names, or that of its family."""
    return config.data.preprocessing or get_family(config.model.family).preprocessing


def build_preprocessing(config: RunConfig, train: Images) -> Preprocessing:
    """The preprocessing, fitted to the training images."""
    return Preprocessing.fit(kind_of_preprocessing(config), train.pixels)
