"""What is each part of the CIFAR-10 presets worth: left out, replaced by another, or alone?

Networks train for 4 epochs, and are judged on 5,000 training images that are held out; no test image is seen.

Every change is made to the same settings, `common`: the presets without their last choices, which are changes of their
own. Only the step of the readout is each preset's own, 0.01 in the CNN and 0.003 in the fully connected network. So the
change *readout step 0.003* measures the fully connected network a second time. The changes named *alone* start from a
network that has none of the levers, `without_levers`.
"""

from collections.abc import Sequence
from dataclasses import replace

from conductance.files import write_text
from conductance.presets.named import LEAK_STEP, get_preset
from conductance.runs import RunConfig
from studies.ablation.figure import ablation_figure
from studies.ablation.words import WORDS
from studies.shared import changes, comparison
from studies.shared.folder import folder_of

VALIDATION_IMAGES = 5_000
EPOCHS = 4
ARCHITECTURES = ("cnn", "fcn")

OPTIMIZERS = {
    "adam": changes.optimizer(name="adam", learning_rate=0.1),
    "adam, step 0.3": changes.optimizer(name="adam", learning_rate=0.3),
}
CENTERED = {
    "centered gradients": changes.optimizer(centered=True),
    "centered gradients, leaks to scale": changes.optimizer(centered=True, leak_learning_rate=LEAK_STEP),
}


def without_levers(config: RunConfig) -> RunConfig:
    """The paper's start, form of h and leak, and Adam, at a step that conductances around 1 feel."""
    start = {"initialization": "glorot", "nonnegative": "rectified", "twin": False, "balance": False}
    membrane = changes.conductance(**start, learn_resting=False, resting_conductance=1.0)
    return changes.both(membrane, changes.optimizer(name="adam", label_smoothing=0.0))(config)


def _alone(lever: changes.Change) -> changes.Change:
    return changes.both(without_levers, lever)


ALONE = {
    "no lever": without_levers,
    "Muon alone": _alone(changes.optimizer(name="muon")),
    "heavy tail alone": _alone(changes.conductance(initialization="lognormal")),
    "balance alone": _alone(changes.conductance(balance=True)),
    "twins alone": _alone(changes.conductance(twin=True)),
    "projected alone": _alone(changes.conductance(nonnegative="clamped")),
    "learnt leak alone": _alone(changes.conductance(learn_resting=True, resting_conductance=0.1)),
    "label smoothing alone": _alone(changes.optimizer(label_smoothing=0.1)),
}
POOLED = "pooled interneuron"
CHANGES: dict[str, changes.Change] = {
    "none": changes.unchanged,
    POOLED: changes.conductance(pooled_interneuron=True),
    "the preset": lambda config: get_preset(config.name),
    "pixels not clipped": changes.data(preprocessing="unit"),
    "batches of 125": changes.data(batch_size=125),
    "batches of 500": changes.data(batch_size=500),
    "blocks of 128": changes.optimizer(block=128),
    "shifts by up to 2 pixels": changes.data(max_shift=2),
    **CENTERED,
    **OPTIMIZERS,
    "muon, step 0.03": changes.optimizer(learning_rate=0.03),
    "muon, step 0.2": changes.optimizer(learning_rate=0.2),
    "muon, momentum 0.85": changes.optimizer(momentum=0.85),
    "muon, momentum 0.98": changes.optimizer(momentum=0.98),
    "exponentiated gradient": changes.optimizer(name="eg", learning_rate=0.1),
    "readout step 0.003": changes.optimizer(readout_learning_rate=3e-3),
    "leak fixed": changes.conductance(learn_resting=False),
    "leak fixed at 1": changes.conductance(learn_resting=False, resting_conductance=1.0),
    "sigma 0.5": changes.conductance(sigma=0.5),
    "Glorot around 1": changes.conductance(initialization="glorot"),
    "no twins": changes.conductance(twin=False),
    "no balance": changes.conductance(balance=False),
    "leak a tenth of the synapses": changes.conductance(resting_share=0.1),
    "learnt threshold and gain": changes.conductance(learn_gate=True),
    "detached denominator": changes.conductance(detached_denominator=True),
    "80 % excitatory": changes.conductance(excitatory_share=0.8),
    "homeostasis 0.01": changes.optimizer(homeostasis=0.01),
    "weight average 0.99": changes.optimizer(weight_average=0.99),
    "no label smoothing": changes.optimizer(label_smoothing=0.0),
    "half width": changes.half_width,
    "5x5 kernels": changes.model(kernel=5),
    **ALONE,
}
BASELINES = {
    name: CHANGES[name]
    for name in ("none", "the preset", "centered gradients", *OPTIMIZERS, "half width", "5x5 kernels")
}
CNN_ALONE = ("5x5 kernels",)
BASELINE_FAMILIES = ("affine", "affine_bn", "absnorm")


def cases() -> list[comparison.Case]:
    """Every row of either network: all families unchanged, then the changes to each."""
    families = ("cwa", *BASELINE_FAMILIES)
    unchanged = [(family, "none") for family in families]
    changed = [(family, change) for family in families for change in _changes_of(family) if change != "none"]
    every = [(architecture, *case) for architecture in ARCHITECTURES for case in [*unchanged, *changed]]
    return [case for case in every if case[0] == "cnn" or case[2] not in CNN_ALONE]


def _changes_of(family: str) -> dict[str, changes.Change]:
    of_averages = {POOLED: CHANGES[POOLED]} if family == "absnorm" else {}
    return CHANGES if family == "cwa" else {**BASELINES, **of_averages}


def common(config: RunConfig) -> RunConfig:
    """The settings that every change is made to, the same for both networks but for the step of the readout."""
    return replace(
        config,
        data=replace(config.data, batch_size=250, preprocessing=None, max_shift=4),
        optimizer=replace(config.optimizer, learning_rate=0.1, block=32, centered=False, leak_learning_rate=None),
    )


def config_of(case: comparison.Case, seed: int) -> RunConfig:
    """The common settings with one change, few epochs and validation images."""
    architecture, family, change = case
    config = CHANGES[change](common(get_preset(f"cifar10-{architecture}-{family}")))
    return comparison.judged(replace(config, epochs=EPOCHS), change, seed, VALIDATION_IMAGES)


ABLATION = comparison.Comparison(cases(), config_of, folder_of(__file__), words=WORDS)


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Measure what is missing, and draw what there is."""
    missing = comparison.command_line(ABLATION, __doc__, arguments)
    if ABLATION.rows():
        write_text(ABLATION.folder.figure, ablation_figure(ABLATION, left_out=tuple(ALONE)))
    return missing
