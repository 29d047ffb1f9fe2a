"""Finding a data set's files, and refusing any but the published ones."""

import gzip
import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_sets import FILE_BASED, TEST_COUNT, TRAIN_COUNT, contents_of, specification_of, write

from conductance.data import DATASETS, load_dataset
from conductance.errors import ConductanceError, DataError, UnknownNameError

ORDER = ("given", "named", "cache", "system")
GRAY, COLOR = (1, 28, 28), (3, 32, 32)
SHAPES = {"mnist": GRAY, "fashion_mnist": GRAY, "cifar10": COLOR, "cifar100": COLOR}
FULL_SIZES = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
}
CLASSES = {"cifar100": 100}


@pytest.fixture
def mnist(publish):
    """The contents of a tiny MNIST, which from now on is the published one."""
    contents = contents_of("mnist")
    publish("mnist", specification_of("mnist", contents))
    return contents


def damaged(contents):
    """The same files, but for the last label of the training images."""
    labels = contents["train-labels-idx1-ubyte"]
    return {**contents, "train-labels-idx1-ubyte": labels[:-1] + bytes([(labels[-1] + 1) % 10])}


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("name", FILE_BASED)
def test_torchvisions_layout_is_read(name, gzipped, places, publish, torchvision_folder):
    contents = contents_of(name)
    publish(name, specification_of(name, contents))
    write(places.given / torchvision_folder(name), contents, gzipped=gzipped)
    dataset = load_dataset(name, places.given, download=False)
    assert (dataset.name, dataset.input_shape, dataset.num_classes) == (name, SHAPES[name], CLASSES.get(name, 10))
    assert (len(dataset.train), len(dataset.test)) == (TRAIN_COUNT, TEST_COUNT)
    if not name.startswith("cifar"):
        raw = np.frombuffer(contents["t10k-images-idx3-ubyte"][16:], np.uint8).reshape(TEST_COUNT, 1, 28, 28)
        assert np.array_equal(dataset.test.pixels.numpy(), raw)
        assert bytes(dataset.train.labels.tolist()) == contents["train-labels-idx1-ubyte"][8:]


@pytest.mark.parametrize("name", FILE_BASED)
def test_the_folder_of_the_files_may_itself_be_named(name, places, publish):
    contents = contents_of(name)
    publish(name, specification_of(name, contents))
    write(places.given, contents)
    assert len(load_dataset(name, str(places.given), download=False).train) == TRAIN_COUNT


def test_debians_layout_is_read(places, publish):
    contents = contents_of("fashion_mnist")
    publish("fashion_mnist", specification_of("fashion_mnist", contents))
    write(places.system / "fashion-mnist", contents, gzipped=True)
    assert len(load_dataset("fashion_mnist", download=False).train) == TRAIN_COUNT


@pytest.mark.parametrize(("earlier", "later"), [*pairwise(ORDER)])
def test_the_earlier_place_is_taken(earlier, later, places, mnist):
    first, second = (getattr(places, place) / "MNIST/raw" for place in (earlier, later))
    write(first, mnist)
    write(second, damaged(mnist))
    load_dataset("mnist", places.given, download=False)
    write(first, damaged(mnist))
    write(second, mnist)
    with pytest.raises(DataError, match=str(first / "train-labels-idx1-ubyte")):
        load_dataset("mnist", places.given, download=False)


def altered(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1] + b"\xff"))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path):
    path.write_bytes(b"")


def replaced_by_a_web_page(path):
    path.write_bytes(b"<html>404</html>")


def garbled_inside(path):
    contents = bytearray(path.read_bytes())
    contents[30:60] = bytes(30)
    path.write_bytes(contents)


@pytest.mark.parametrize("damage", [altered, cut_short, emptied, replaced_by_a_web_page, garbled_inside])
def test_a_damaged_file_is_named_and_no_other_copy_taken(damage, places, mnist):
    write(places.named / "MNIST/raw", mnist, gzipped=True)
    write(places.cache / "MNIST/raw", mnist)
    path = places.named / "MNIST/raw/t10k-images-idx3-ubyte.gz"
    damage(path)
    with pytest.raises(DataError) as raised:
        load_dataset("mnist")
    assert str(path) in str(raised.value)
    assert "Replace it" in str(raised.value)


def test_a_file_may_be_vouched_for_by_its_md5(places, publish):
    contents = contents_of("cifar100")
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    specification = DATASETS["cifar100"]
    publish("cifar100", replace(specification, files=replace(specification.files, checksums=checksums)))
    write(places.given, contents)
    assert len(load_dataset("cifar100", places.given, download=False).train) == TRAIN_COUNT
    write(places.given, {"test": contents["test"] + b"\0"})
    with pytest.raises(DataError, match=r"given/test is not the published file .* the MD5 of its"):
        load_dataset("cifar100", places.given, download=False)


def test_an_incomplete_copy_is_passed_over(places, mnist):
    write(places.cache / "MNIST/raw", mnist)
    del mnist["t10k-labels-idx1-ubyte"]
    write(places.named / "MNIST/raw", mnist)
    assert len(load_dataset("mnist", download=False).test) == TEST_COUNT


def test_what_is_nowhere_is_an_error_that_tells_what_was_looked_for_where(places, mnist):
    del mnist["t10k-labels-idx1-ubyte"]
    write(places.cache / "MNIST/raw", mnist)
    with pytest.raises(DataError) as raised:
        load_dataset("mnist", places.given, download=False)
    message = str(raised.value)
    assert f"{places.cache} holds an incomplete copy, without t10k-labels-idx1-ubyte\n" in message
    for place in (places.given, places.named, places.system):
        assert f"{place} holds none of its files\n" in message
    for remedy in ("MNIST/raw", "--data-dir", "$CONDUCTANCE_DATA", "Allow the download"):
        assert remedy in message


def test_a_named_folder_must_exist(places, mnist, tmp_path, monkeypatch):
    write(places.cache / "MNIST/raw", mnist)
    absent = tmp_path / "absent"
    with pytest.raises(DataError, match=f"the data folder {absent} is not a folder"):
        load_dataset("mnist", absent)
    monkeypatch.setenv("CONDUCTANCE_DATA", str(absent))
    with pytest.raises(DataError, match=rf"\$CONDUCTANCE_DATA {absent} is not a folder"):
        load_dataset("mnist")


@pytest.mark.usefixtures("places")
def test_a_home_folder_may_be_named_by_a_tilde(mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path / "home" / "data" / "MNIST/raw", mnist)
    assert len(load_dataset("mnist", "~/data").train) > 0


def test_an_unknown_name_is_an_error_that_knows_better():
    with pytest.raises(UnknownNameError, match="unknown data set 'cifar'; did you mean 'cifar10'"):
        load_dataset("cifar")


@pytest.mark.parametrize("missing", ["sklearn.datasets", "platformdirs"])
def test_a_missing_package_is_an_error_that_says_what_to_install(missing, monkeypatch):
    monkeypatch.delenv("CONDUCTANCE_DATA", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConductanceError, match=r"pip install 'conductance\[train\]'"):
        load_dataset("digits" if missing == "sklearn.datasets" else "mnist")


def test_importing_the_package_imports_no_extra():
    program = (
        "import sys, conductance.data; print({'PIL', 'sklearn', 'rich', 'platformdirs'} & {*sys.modules} or 'none')"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "none"


def test_every_specification_is_whole():
    for name, specification in DATASETS.items():
        assert len(set(specification.classes)) == len(specification.classes) == CLASSES.get(name, 10)
        if files := specification.files:
            assert all(len(bytes.fromhex(checksum)) in (16, 32) for checksum in files.checksums.values())
            assert len(files.addresses) == 2
            assert all(address.endswith(("/", ".tar.gz")) for address in files.addresses)


@pytest.mark.parametrize("name", FILE_BASED)
def test_the_real_data_set(name):
    try:
        dataset = load_dataset(name, download=False)
    except DataError as error:
        if "was not found" not in str(error):
            raise
        pytest.skip(f"{name} is not on this machine")
    assert (len(dataset.train), len(dataset.test)) == FULL_SIZES[name]
    assert torch.equal(dataset.test.labels.unique(), torch.arange(dataset.num_classes))
