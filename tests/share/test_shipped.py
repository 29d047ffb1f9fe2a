"""The trained networks that come with the package: small, checked, and as good as their files say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import conductance
from conductance.data import load_dataset
from conductance.errors import DataError, SavedNetworkError
from conductance.share import about, names
from conductance.share.places import HERE

ROOT = Path(__file__).parents[2]
NAMES = names()
DIGITS, MNIST = (1, 8, 8), (1, 28, 28)
SHAPES = {
    "digits-cnn": DIGITS,
    "digits-fcn": DIGITS,
    "mnist-cnn": MNIST,
    "mnist-small": MNIST,
    "mnist-small-batchnorm": MNIST,
}


def test_there_are_such():
    assert {*SHAPES} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_ready_and_small(name):
    network, shape = conductance.load(name), SHAPES[name]
    assert not any(module.training for module in network.modules())
    images = torch.rand(20, *shape)
    assert network(images).shape == (20, 10)
    if "cwa" in about(name).families:
        assert conductance.check(network, images).ok
    assert set(network.classify(images)) <= set("0123456789")
    assert sum(file.stat().st_size for file in (HERE / name).iterdir()) < 2_000_000
    known = about(name)
    assert known.command.startswith("conductance train ")
    assert "-dirty" not in known.origin["git_commit"]


def test_the_best_of_mnist_is_the_run_that_is_checked_in():
    summary = json.loads((ROOT / "results/retrained/mnist-cnn-cwa-seed0/summary.json").read_text())
    known = about("mnist-cnn")
    assert known.accuracy["test_accuracy"] == pytest.approx(summary["test_accuracy"], abs=0.02)  # rounded to float16
    assert (known.command, known.origin["git_commit"]) == (summary["command"], summary["git_commit"])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_as_good_as_its_file_says(name):
    said = about(name).accuracy
    try:
        test = load_dataset(said["dataset"], download=False).test
    except DataError as error:
        pytest.skip(str(error).splitlines()[0])
    network = conductance.load(name)
    with torch.no_grad():  # as images in [0, 1], and as bytes
        answers = [
            torch.cat([network(part).argmax(1) for part in each.split(1000)])
            for each in (test.pixels / 255, test.pixels)
        ]
    for answer in answers:
        accuracy = 100 * (answer == test.labels).double().mean().item()
        assert accuracy == pytest.approx(said["test_accuracy"], abs=2 * 100 / len(test))
    assert said["images"] == len(test)


def test_a_folder_of_the_same_name_is_no_trap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conductance.save(torch.nn.Linear(2, 2), "digits-cnn")
    with pytest.raises(SavedNetworkError, match=r"write '\./digits-cnn'"):
        conductance.load("digits-cnn")
    assert isinstance(conductance.load("./digits-cnn"), torch.nn.Linear)


def test_another_process_needs_neither_training_nor_data_nor_network(tmp_path):
    script = (
        "import sys; sys.addaudithook(lambda event, _: 1 / (event not in ('socket.connect', 'socket.getaddrinfo')))\n"
        "import conductance, torch\n"
        "print(conductance.load('digits-cnn')(torch.rand(2, 1, 8, 8)).shape)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "torch.Size([2, 10])\n"
    assert not {"sklearn", "accelerate", "huggingface_hub", "tyro", "rich", "matplotlib"} & set(ran.stderr.split())
