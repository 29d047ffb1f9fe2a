"""What cannot work is refused before training starts, by name and with the remedy, and nothing is left behind."""

import math
import pickle
import re

import pytest
import torch

from conductance.data import Preprocessing
from conductance.errors import ConductanceError, InputError, RunError
from conductance.runs import ModelConfig
from conductance.training import train
from tiny_runs import contents, run, tiny


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        ({"model__family": "cwaa"}, "unknown layer family 'cwaa'; did you mean 'cwa' or 'cwa_li' or 'cwa_bn'"),
        ({"model__architecture": "cnnn"}, "unknown architecture 'cnnn'; did you mean 'cnn'"),
        ({"data__dataset": "mnits"}, "unknown data set 'mnits'; did you mean 'mnist'"),
        ({"conductance__nonnegative": "expo"}, "unknown conductance.nonnegative 'expo'; did you mean 'exp'"),
        ({"conductance__initialization": "normal"}, "unknown conductance.initialization .* 'lognormal'"),
        (
            {"data__augmentation": "flip"},
            "unknown data.augmentation 'flip'; did you mean 'shift_flip' or 'deform_flip'",
        ),
        ({"protocol__name": "one-cycle"}, "unknown protocol.name 'one-cycle'; did you mean 'onecycle'"),
        ({"precision": "bf-16"}, "unknown precision 'bf-16'; did you mean 'bf16'"),
        ({"model__shortcut": "sum"}, "model.shortcut=sum: only for resnet18, not for fcn; leave it out"),
        ({"model__kernel": 5}, "model.kernel=5: only for cnn, not for fcn; leave it out"),
        ({"model": ModelConfig("cnn", "cwa", (8, 8), kernel=4)}, "kernel=4: must be odd"),
        ({"model": ModelConfig("resnet18", "cwa", shortcut="product")}, "'product'.* mean, sum"),
        (
            {"model__architecture": "cnn", "model__dropout": 0.1},
            "model.dropout=0.1: only for fcn, not for cnn; leave it out",
        ),
        ({"model__dropout": 1.0}, r"dropout=1.0: must lie in \[0, 1\)"),
        ({"model__widths": ()}, r"model.widths=\(\): .*at least 1"),
        ({"model__widths": (8, 0)}, r"model.widths=\(8, 0\): .*at least 1"),
        ({"data__batch_size": 0}, "data.batch_size=0: must be at least 1"),
        ({"data__batch_size": 1, "model__family": "affine_bn"}, "data.batch_size=1: .*at least 2"),
        ({"data__image_size": 0, "data__dataset": "folder"}, "data.image_size=0: must be at least 1"),
        ({"data__image_size": 64}, "data.image_size=64: the images of digits have a size of their own"),
        ({"data__validation_images": -1}, "data.validation_images=-1: must be at least 0"),
        ({"data__validation_images": 1297}, "cannot set 1297 of 1297 images aside .* from 0 to 1296"),
        ({"data__max_shift": -1}, "data.max_shift=-1: must be at least 0"),
        ({"data__max_turn": -1.0}, "data.max_turn=-1.0: must be at least 0"),
        ({"data__max_turn": math.nan}, "data.max_turn=nan: must be .*finite"),
        ({"data__max_mix": 0.6}, r"data.max_mix=0.6: must lie in \[0, 0.5\]"),
        ({"data__max_stretch": math.inf}, "data.max_stretch=inf: must be .*finite"),
        ({"optimizer__learning_rate": -0.1}, "optimizer.learning_rate=-0.1: must be positive"),
        ({"optimizer__learning_rate": math.nan}, "optimizer.learning_rate=nan: must be .*finite"),
        ({"optimizer__readout_learning_rate": math.inf}, "optimizer.readout_learning_rate=inf: must be .*finite"),
        ({"optimizer__betas": (0.9, 1.0)}, r"optimizer.betas=\(0.9, 1.0\): must be two numbers in \[0, 1\)"),
        ({"optimizer__betas": (0.9,)}, r"optimizer.betas=\(0.9,\): must be two numbers"),
        ({"optimizer__label_smoothing": 1.5}, r"optimizer.label_smoothing=1.5: must lie in \[0, 1\]"),
        ({"protocol__warmup": -0.5}, r"protocol.warmup=-0.5: must lie in \[0, 1\]"),
        ({"protocol__patience": 0}, "protocol.patience=0: must be at least 1"),
        ({"conductance__sigma": -1.0}, "sigma=-1.0.* must not be negative"),
        ({"conductance__excitatory_share": 1.5}, r"1.5: .*in \[0, 1\]"),
        ({"conductance__resting_conductance": -1.0}, "resting_conductance must be finite and not negative"),
        ({"conductance__resting_potential": 2.0}, r"resting_potential must lie in \[-1, 1\]"),
        ({"epochs": 0}, "epochs=0: must be at least 1"),
        ({"accumulate": 0}, "accumulate=0: must be at least 1"),
        ({"seed": -1}, "seed=-1: must lie in"),
        ({"seed": 2**32}, "seed=4294967296: must lie in"),
    ],
)
def test_a_choice_that_means_nothing(choice, complaint, out):
    with pytest.raises(ConductanceError, match=complaint):
        run(tiny(**choice), out)
    assert not out.exists()


def test_half_precision_that_needs_a_gpu_is_refused_on_a_processor(out):
    with pytest.raises(InputError, match=r"precision=fp16: .* choose bf16 or no"):
        run(tiny(precision="fp16"), out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("device", "complaint"),
    [("cuda", "torch finds none .* choose cpu"), ("mps", "torch finds none"), ("tpu", "choose auto, cpu, cuda or mps")],
)
def test_a_device_that_is_not_there(device, complaint, out, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"device='{device}': {complaint}"):
        train(tiny(), out, device=device)
    assert not out.exists()


@pytest.mark.parametrize("family", ["cwa", "cwa_bn", "absnorm"])
@pytest.mark.parametrize("off", [-0.1, 0.1, math.nan])
def test_inputs_that_are_no_open_probabilities(family, off, out, monkeypatch):
    forward = Preprocessing.forward
    monkeypatch.setattr(Preprocessing, "forward", lambda self, pixels: forward(self, pixels) + off)
    complaint = r"digits: inputs lie in .*\[0, 1\]; choose --data.preprocessing scaled or unit"
    with pytest.raises(InputError, match=complaint):
        run(tiny(family), out)
    assert not out.exists()


def test_whitened_inputs_may_lie_anywhere(out):
    assert run(tiny("affine_bn", epochs=1), out)["epochs"] == 1


# Folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_a_run(finished):
    folder = finished / "cwa"
    before = contents(folder)
    with pytest.raises(RunError, match=f"{folder} already holds a run; add --resume .*--out"):
        run(tiny(), folder)
    assert contents(folder) == before


def test_a_folder_that_holds_an_unfinished_run(interrupted):
    folder = interrupted(tiny(), epoch=2)
    before = contents(folder)
    with pytest.raises(RunError, match="already holds a run"):
        run(tiny(), folder)
    assert contents(folder) == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_other_things(resume, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=f"{tmp_path} is not empty and holds no run; choose another .*--out"):
        run(tiny(), tmp_path, resume=resume)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_place_of_the_folder(below, tmp_path):
    file = tmp_path / "file"
    file.write_text("hello")
    with pytest.raises(ConductanceError, match=f"{file}.*choose"):
        run(tiny(), file / below)
    assert file.read_text() == "hello"


def test_an_empty_folder_will_do(tmp_path):
    assert run(tiny(epochs=1), tmp_path)["epochs"] == 1


# Checkpoints -----------------------------------------------------------------------------------------------------


class Malice:
    """Makes a file when unpickled by an unwary reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def trap(tmp_path):
    return tmp_path / "trap"


def truncated(path, _trap):
    path.write_bytes(path.read_bytes()[:-1000])


def emptied(path, _trap):
    path.write_bytes(b"")


def replaced_by_text(path, _trap):
    path.write_text("hello")


def foreign(path, _trap):
    torch.save({"epoch": 1, "state_dict": {"weight": torch.ones(3)}}, path)


def a_bare_tensor(path, _trap):
    torch.save(torch.ones(3), path)


def malicious_torch_file(path, trap):
    torch.save({"format": "conductance-checkpoint-2", "network": Malice(trap)}, path)


def malicious_pickle(path, trap):
    path.write_bytes(pickle.dumps(Malice(trap), protocol=2))


@pytest.mark.parametrize(
    ("mishap", "complaint"),
    [
        (truncated, "is damaged"),
        (emptied, "is damaged"),
        (replaced_by_text, "is damaged"),
        (foreign, "is not a conductance-checkpoint-2 file"),
        (a_bare_tensor, "is not a conductance-checkpoint-2 file"),
        (malicious_torch_file, "is damaged"),
        (malicious_pickle, "is damaged"),
    ],
)
def test_a_checkpoint_that_is_none(mishap, complaint, interrupted, trap):
    folder = interrupted(tiny(), epoch=2)
    checkpoint = folder / "checkpoint.pt"
    mishap(checkpoint, trap)
    before = contents(folder)
    with pytest.raises(RunError, match=rf"{checkpoint} {complaint}.*delete {checkpoint} to start this run again"):
        run(tiny(), folder, resume=True)
    assert contents(folder) == before
    assert not trap.exists()


@pytest.mark.parametrize("attack", [malicious_torch_file, malicious_pickle])
def test_the_trap_of_these_tests_works(attack, tmp_path, trap):
    attack(tmp_path / "file", trap)
    loaded = torch.load(tmp_path / "file", weights_only=False) if attack is malicious_torch_file else None
    (loaded["network"] if loaded else pickle.loads((tmp_path / "file").read_bytes())).close()
    assert trap.exists()


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


def with_another(name, value):
    return lambda state: {**state, name: value}


@pytest.mark.parametrize(
    "change",
    [
        without("optimizer"),
        without("random"),
        with_another("network", {"hidden.0.g": torch.ones(3, 3)}),
        with_another("network", [1, 2]),
        with_another("optimizer", {"state": {}, "param_groups": []}),
        with_another("metrics", None),
        with_another("random", "dice"),
    ],
)
def test_a_checkpoint_of_another_network(change, interrupted):
    folder = interrupted(tiny(), epoch=2)
    checkpoint = folder / "checkpoint.pt"
    torch.save(change(torch.load(checkpoint, weights_only=True)), checkpoint)
    before = contents(folder)
    with pytest.raises(RunError, match=f"{checkpoint} does not fit this run.*(?s:.)*delete it to start"):
        run(tiny(), folder, resume=True)
    assert contents(folder) == before


def test_resuming_with_other_settings_names_each(interrupted):
    folder = interrupted(tiny(), epoch=2)
    before = contents(folder)
    other = tiny("cwa_bn", epochs=5, optimizer__learning_rate=0.5)
    with pytest.raises(RunError) as raised:
        run(other, folder, resume=True)
    named = re.findall(r"[\w.]+ is [^ ]+ there, [^ ;)]+ here", str(raised.value))
    assert named == [
        "epochs is 2 there, 5 here",
        "model.family is cwa there, cwa_bn here",
        "optimizer.learning_rate is 0.1 there, 0.5 here",
    ]
    assert "--out" in str(raised.value)
    assert contents(folder) == before
