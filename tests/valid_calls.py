"""A valid call of every public function and constructor, on the smallest things: material for wrong ones."""

import dataclasses
import importlib
import inspect
import secrets
from functools import cache
from types import ModuleType

import torch
from torch import nn

import conductance
from conductance import biophysics, circuits, data, models, training
from conductance import nn as layers
from conductance.runs import ModelConfig, RunConfig

ROOMS = (
    "nn",
    "circuits",
    "circuits.plot",
    "init",
    "optim",
    "models",
    "transform",
    "biophysics",
    "share",
    "sklearn",
    "functional",
    "data",
    "analysis",
    "training",
)
"""Modules whose public names people call."""


def public_callables():
    """Every public function and class that does more than hold what it is given, by its name."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"conductance.{room}")
        for name in getattr(module, "__all__", None) or vars(module):
            value = getattr(module, name)
            if name.startswith("_") or isinstance(value, ModuleType) or not callable(value) or holds_only(value):
                continue
            if not hasattr(module, "__all__") and getattr(value, "__module__", "") != module.__name__:
                continue  # imported there for its own use
            found[f"{room}.{name}"] = value
    top = {name: getattr(conductance, name) for name in conductance.__all__}
    known = set(map(id, found.values()))
    found |= {name: value for name, value in top.items() if inspect.isroutine(value) and id(value) not in known}
    found |= {
        f"{name}.{method}": getattr(kind, method)
        for name, kind in METHODS.items()
        for method in sorted(vars(kind))
        if f"{name}.{method}" in _CIRCUITS
    }
    return {name: value for name, value in found.items() if name not in NOT_CALLED}


def holds_only(value):
    """Whether it is a record that the package fills, an exception, or a name for a type."""
    if not inspect.isclass(value):
        return not inspect.isroutine(value)
    record = dataclasses.is_dataclass(value) and not hasattr(value, "__post_init__")
    return (
        record
        or hasattr(value, "_fields")
        or issubclass(value, BaseException)
        or bool(value.__dict__.get("_is_protocol"))
    )


NOT_CALLED = {
    "circuits.CircuitNetwork": "made by Circuit.build",
    "circuits.Rule": "a base without arguments",
    "nn.AveragingLayer": "a base; the layers made of it are called",
    "nn.ConductanceLayer": "a base; the layers made of it are called",
    "nn.SignedLayer": "a base; the layers made of it are called",
    "nn.Leak": "a part of layers, which check what they give it",
    "nn.FullRange": "no arguments",
    **{
        f"functional.{name}": "a formula of tensors for every step of every layer; like torch's own, it asks nothing"
        for name in (
            "detached_membrane_potential",
            "excitation_inhibition",
            "leak_pair",
            "require_activation",
            "membrane_potential",
            "membrane_step",
            "pooled_conductances",
            "pooled_interneuron",
            "smallest_leak",
        )
    },
    "models.Family": "a record of classes of layers",
}


# What calls need ------------------------------------------------------------------------------------------------------


def images(samples=2):
    return torch.rand(samples, 1, 4, 4)


def rows(samples=4, features=4):
    return torch.rand(samples, features)


def layer():
    return layers.CWALinear(4, 4)


def network():
    return nn.Sequential(layers.CWALinear(4, 6), layers.CWALinear(6, 3, activation=None))


def described_circuit():
    circuit = circuits.Circuit()
    circuit.connect(circuit.input("x", 4), circuit.population("E", 4, tau_membrane=5.0))
    circuit.connect("E", circuit.population("I", 2, reversal="GABA-A"))
    circuit.connect("I", "E")
    return circuit


@cache  # nothing changes it
def circuit():
    return described_circuit().build(outputs="E", settle=False)


@cache  # nothing changes it
def activity():
    return circuit().run(rows())


@cache  # nothing changes it
def membranes():
    return biophysics.to_biophysical(network())


def affine():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def labeled():
    return data.Images(torch.randint(0, 255, (6, 1, 4, 4), dtype=torch.uint8), torch.arange(6) % 3)


def adapted(name, function):
    """How a callable is called with keywords: estimators check when they learn, as scikit-learn asks of them."""
    if name.startswith("sklearn."):

        def fit(**keywords):
            targets = [0, 1] * 3 if name.endswith("Classifier") else [0.0, 1.0] * 3
            return function(**{"max_iter": 2, **keywords}).fit(rows(6, 2).numpy(), targets)

        return fit
    if name == "analysis.validate":

        def enter(**keywords):
            with function(**keywords) as inside:
                return inside

        return enter
    if name == "nn.spectral_radius":
        return lambda module, inputs: function(module, inputs)
    return function


def needed(name, folder):
    """Keyword arguments with which a public callable can be called; the others keep their defaults."""
    known = {**_LAYERS, **_CIRCUITS, **_LEARNING, **_PHYSICS, **_FILES, **_REST}
    assert name in known, f"{name} is new: say here with what it can be called"
    return known[name](folder)


def _of(**values):
    """Made anew at each call, as functions may change them."""
    return lambda folder: {key: value(folder) if callable(value) else value for key, value in values.items()}


def _a(make, *args, **kwargs):
    return lambda _: make(*args, **kwargs)


def _in(file):
    return lambda folder: folder / file


_MODULE = _of(module=_a(network))
_MODEL = _of(model=_a(network))
_BATCH = _of(model=_a(network), batch=_a(rows))
_LINEAR = _of(in_features=4, out_features=4)
_CONVOLUTION = _of(in_channels=4, out_channels=4, kernel_size=3)
_SIZES = _of(input_size=4, hidden_size=4)
_UNITS = _of(units=4)
_NONE = _of()

_LAYERS = {
    **dict.fromkeys(("nn.CWALinear", "nn.AbsNormLinear", "nn.LateralLinear"), _LINEAR),
    **dict.fromkeys(
        ("nn.CWAConv1d", "nn.CWAConv2d", "nn.CWAConv3d", "nn.AbsNormConv2d", "nn.LateralConv2d"), _CONVOLUTION
    ),
    **dict.fromkeys(("nn.CWARNN", "nn.CWARNNCell"), _SIZES),
    **dict.fromkeys(("nn.Gate", "nn.LogisticGate"), _UNITS),
    **dict.fromkeys(("nn.ScaledInput", "nn.SignedInput"), _of(layer=_a(layer))),
    "nn.GapJunction": _of(channels=4, conductance=1.0),
    **dict.fromkeys(("nn.assign_valences", "nn.read_valences"), _of(model=_a(network), example=_a(rows))),
    "nn.spectral_radius": _of(module=_a(circuit), inputs=_a(rows)),
}

_CIRCUITS = {
    **dict.fromkeys(("circuits.Circuit", "circuits.Dense", "circuits.OneToOne", "circuits.WithoutAutapses"), _NONE),
    "circuits.Blocks": _of(shares=[[0.5, 0.5]]),
    "circuits.Convolution": _of(kernel_size=3),
    "circuits.Exponential": _of(length=1.0),
    "circuits.Gaussian": _of(width=1.0),
    "circuits.WithinDistance": _of(radius=1.0),
    "circuits.InDegree": _of(synapses=2),
    "circuits.Mask": _of(mask=[[1, 0], [0, 1]]),
    "circuits.Sparse": _of(share=0.5),
    "circuits.plot.circuit": _of(net=_a(circuit)),
    "circuits.plot.connectivity": _of(net=_a(circuit), target="E"),
    "circuits.plot.raster": _of(activity=_a(activity)),
    "circuits.plot.potentials": _of(activity=_a(activity), population="E"),
    "circuits.plot.currents": _of(net=_a(circuit), activity=_a(activity), target="E"),
    "circuits.plot.receptive_fields": _of(net=_a(circuit), source="x", target="E"),
    "Circuit.input": _of(self=_a(described_circuit), name="y", size=3),
    "Circuit.population": _of(self=_a(described_circuit), name="P", size=3),
    "Circuit.connect": _of(self=_a(described_circuit), source="x", target="I"),
    "Circuit.build": _of(self=_a(described_circuit), outputs="E", settle=False),
    "CircuitNetwork.valence": _of(self=_a(circuit), name="E"),
    "CircuitNetwork.places": _of(self=_a(circuit), name="E"),
    "CircuitNetwork.conductance": _of(self=_a(circuit), source="x", target="E"),
    "CircuitNetwork.set_conductance": _of(self=_a(circuit), source="x", target="E", conductance=1.0),
}

_LEARNING = {
    "init.conductance_layers": _MODULE,
    **dict.fromkeys(("init.initialize", "init.settle_", "init.balance_"), _BATCH),
    **dict.fromkeys(
        ("init.glorot_", "init.twin_", "init.balance_sums_", "init.lognormal_", "init.exponential_"), _MODULE
    ),
    "init.scale_leak_": _of(model=_a(network), batch=_a(rows), share=0.1),
    "optim.Centering": lambda _: _optimizer_of_a_network(),
    "optim.Homeostasis": lambda _: {**_optimizer_of_a_network(), "rate": 0.1},
    "optim.ConductanceOptimizer": _of(params=lambda _: list(network().parameters())),
    "optim.create_optimizer": _MODEL,
    "optim.hidden_synapses": _MODEL,
    "optim.estimate": _of(network=_a(network), batch=_a(rows)),
    "optim.orthogonalize": _of(matrices=_a(torch.ones, 2, 3, 3)),
    "training.Trainer": _of(
        network=_a(network),
        data=lambda _: (rows(8), torch.arange(8) % 3),
        config=_a(training.TrainingConfig, epochs=1),
        device="cpu",
        progress=False,
    ),
    "training.TensorBoard": _NONE,
    "training.TrainingConfig": _NONE,
    "training.train": lambda folder: {
        "config": RunConfig("tiny", epochs=1, model=ModelConfig("fcn", "cwa", (4,))),
        "out": folder / secrets.token_hex(4),
        "device": "cpu",
    },
    "training.evaluate": _of(
        network=lambda _: models.create_model("fcn", "cwa", (1, 4, 4), 3, widths=(4,)),
        preprocessing=_a(data.Preprocessing, "unit", 1),
        images=_a(labeled),
    ),
    **dict.fromkeys(("sklearn.CWAClassifier", "sklearn.CWARegressor"), _NONE),
}


def _optimizer_of_a_network():
    model = network()
    return {"optimizer": torch.optim.SGD(model.parameters(), 0.1), "model": model}


_REST_PER_UNIT = {"resting_conductance": 1.0, "resting_potential": -65.0}
_SYNAPSES = {
    "open_probability": _a(torch.full, (3,), 0.5),
    "conductance": _a(torch.ones, 2, 3),
    "reversal_potential": 0.0,
    **_REST_PER_UNIT,
}

_PHYSICS = {
    "biophysics.PotentialRange": _NONE,
    "biophysics.SquidAxon": _NONE,
    "biophysics.BiophysicalNetwork": _of(model=_a(network), layers=()),
    "biophysics.MembraneLayer": lambda _: {
        name: getattr(membranes().layers[0], name)
        for name in ("name", "layer", "potentials", "nanosiemens", "capacitance")
    },
    "biophysics.SynapseLayer": lambda _: {
        name: getattr(membranes().layers[0], name) for name in ("name", "layer", "potentials")
    },
    **dict.fromkeys(
        ("biophysics.boltzmann_gate", "biophysics.rectified_gate"),
        _of(membrane_potential=_a(torch.full, (3,), -60.0), threshold=-50.0, slope_factor=5.0),
    ),
    "biophysics.conductance_quantum": _of(conductance=_a(torch.ones, 3), rate_max=1000.0, time_constant=5.0),
    "biophysics.exponential_synapse": _of(jump=_a(torch.ones, 5, 2), time_constant=5.0, time_step=1.0),
    "biophysics.firing_rate": _of(potential=_a(torch.ones, 5, 2), time_step=1.0),
    "biophysics.fluctuation_shift": _of(**_SYNAPSES, capacitance=200.0, rate_max=1000.0, time_constant=5.0),
    "biophysics.in_parallel": _of(conductance=_a(torch.ones, 3), reversal_potential=0.0),
    "biophysics.integrate": _of(
        potential=-65.0,
        total_conductance=_a(torch.ones, 5, 2),
        driving_current=_a(torch.ones, 5, 2),
        capacitance=200.0,
        time_step=1.0,
    ),
    "biophysics.layer_steady_state": _of(layer=_a(layer), open_probability=_a(rows)),
    "biophysics.poisson_spikes": _of(
        open_probability=_a(torch.full, (3,), 0.5),
        rate_max=100.0,
        steps=5,
        time_step=1.0,
        generator=_a(torch.Generator),
    ),
    "biophysics.relax": _of(
        potential=-65.0, total_conductance=1.0, driving_current=1.0, capacitance=200.0, duration=1.0
    ),
    "biophysics.reversal_potentials": _of(names=("AMPA",)),
    "biophysics.steady_state": _of(**_SYNAPSES),
    "biophysics.synaptic_input": _of(
        spikes=_a(torch.ones, 5, 3),
        quantum=_a(torch.ones, 2, 3),
        reversal_potential=0.0,
        time_constant=5.0,
        time_step=1.0,
    ),
    "biophysics.time_constant": _of(total_conductance=1.0, capacitance=200.0),
    "biophysics.to_biophysical": _MODEL,
    "biophysics.simulate": _of(network=_a(membranes), images=_a(rows, 2), duration=3.0),
    "biophysics.point_neurons": _of(network=_a(membranes), layer="0", image=_a(rows, 1)),
    "biophysics.export_circuit": _of(network=_a(membranes), image=_a(rows, 1), folder=_in("scripts")),
    "biophysics.export_neuron": _of(network=_a(membranes), layer="0", units=0, image=_a(rows, 1), folder=_in("neuron")),
    "biophysics.export_neuroml": _of(
        network=_a(membranes), layer="0", units=0, image=_a(rows, 1), file=_in("network.net.nml")
    ),
}

_FILES = {
    "transform.convert": _of(model=_a(affine), example=_a(rows)),
    "transform.freeze": _MODEL,
    "transform.FrozenAverage": _of(layer=_a(layer)),
    "transform.conductance_tables": _MODEL,
    "transform.export_table": _of(model=_a(network), file=_in("table.csv")),
    **{
        f"transform.{name}": _of(model=_a(network), example=_a(rows), file=_in("network.file"))
        for name in ("export_onnx", "export_program")
    },
    "share.ImageClassifier": _of(network=_a(network), preprocessing=_a(data.Preprocessing, "unit", 1)),
    **dict.fromkeys(("share.about", "share.load"), _of(source="digits-fcn")),
    "share.names": _NONE,
    "share.save": _of(model=_a(network), folder=_in("saved"), overwrite=True),
}

_REST = {
    "models.CNN": _of(family=_a(models.get_family, "cwa"), input_shape=(1, 16, 16), num_classes=3, widths=(2, 2)),
    "models.FCN": _of(family=_a(models.get_family, "cwa"), input_shape=(1, 4, 4), num_classes=3, widths=(4,)),
    "models.ResNet18": _of(
        family=_a(models.get_family, "cwa"), input_shape=(1, 8, 8), num_classes=3, widths=(2, 2, 2, 2), blocks=1
    ),
    "models.create_model": _of(architecture="fcn", input_shape=(1, 4, 4), num_classes=3),
    "models.get_family": _of(name="cwa"),
    "functional.cwa": _of(p=_a(rows), conductance=_a(torch.ones, 3, 4)),
    "data.Images": lambda _: {"pixels": labeled().pixels, "labels": labeled().labels},
    "data.DeviceLoader": _of(
        images=_a(labeled), batch_size=2, preprocessing=_a(data.Preprocessing, "unit", 1), shuffle=True
    ),
    "data.Preprocessing": _of(kind="unit", channels=1),
    "data.Dataset": _of(name="tiny", train=_a(labeled), test=_a(labeled), classes=("a", "b", "c")),
    **dict.fromkeys(("data.deform", "data.shift_and_flip"), _of(images=_a(images))),
    "data.mix": _of(images=_a(images), labels=_a(torch.tensor, [0, 1]), num_classes=3),
    "data.load_dataset": _of(name="digits", download=False),
    "data.load_image_folder": _of(folder=_in("pictures")),
    "data.split_validation": _of(images=_a(labeled), count=2, seed=0),
    **dict.fromkeys(("analysis.check", "analysis.observe", "analysis.summary"), _BATCH),
    "analysis.internals": _of(network=_a(network), batch=_a(rows)),
    "analysis.validate": _MODEL,
}

METHODS = {
    "Circuit": circuits.Circuit,
    "CircuitNetwork": circuits.CircuitNetwork,
}
"""Classes whose methods people call with arguments of their own."""
