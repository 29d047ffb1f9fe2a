"""CIFAR's pickles: read as data, never run."""

import pickle
import pickletools
import warnings

import numpy as np
import pytest
from tiny_sets import contents_of, python2_batch, specification_of, write

from conductance.data import load_dataset
from conductance.data.cifar import read_batch, read_cifar10, read_cifar100
from conductance.errors import DataError

PIXELS = np.arange(2 * 3072, dtype=np.uint32).astype(np.uint8).reshape(2, 3072)


def test_a_batch_is_read_as_numpy_reads_it():
    batch = python2_batch(PIXELS, [3, 9])
    with warnings.catch_warnings(action="ignore"):  # some versions of numpy frown on the old module's name
        expected = pickle.loads(batch, encoding="bytes")
    read = read_batch(batch)
    assert np.array_equal(read[b"data"], expected[b"data"])
    assert read[b"labels"] == expected[b"labels"] == [3, 9]


def test_images_are_channels_of_rows_in_the_order_of_the_batches():
    contents = contents_of("cifar10")
    train, test = read_cifar10(contents)
    raw = [pickle_bytes_of(contents[f"data_batch_{number}"]) for number in range(1, 6)]
    assert np.array_equal(train.pixels.numpy(), np.concatenate(raw))
    assert np.array_equal(test.pixels.numpy(), pickle_bytes_of(contents["test_batch"]))


def test_cifar100_has_the_fine_labels():
    contents = contents_of("cifar100")
    for images, name in zip(read_cifar100(contents), ("train", "test"), strict=True):
        assert np.array_equal(images.pixels.numpy(), pickle_bytes_of(contents[name]))
        assert images.labels.tolist() == read_batch(contents[name])[b"fine_labels"]


def test_an_array_in_the_order_of_columns_is_read_as_numpy_reads_it():
    batch = python2_batch(PIXELS, [3, 9]).replace(b"\x89T", b"\x88T")
    with warnings.catch_warnings(action="ignore"):
        expected = pickle.loads(batch, encoding="bytes")[b"data"]
    assert np.array_equal(read_batch(batch)[b"data"], expected)
    assert not np.array_equal(expected, PIXELS)


def pickle_bytes_of(batch):
    """The pixels in a batch, found without unpickling it: its one long string."""
    (values,) = (
        argument.encode("latin1") for code, argument, _ in pickletools.genops(batch) if code.name == "BINSTRING"
    )
    return np.frombuffer(values, np.uint8).reshape(-1, 3, 32, 32)


class Malice:
    """Makes a file when unpickled by an unwary reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def reduced(path, protocol):
    return pickle.dumps({b"data": Malice(path), b"labels": []}, protocol=protocol)


def instantiated(path, _protocol):
    return b"(S'" + str(path).encode() + b"'\nS'w'\ni_io\nopen\n."


def built_as_an_object(path, _protocol):
    return b"(c_io\nopen\nS'" + str(path).encode() + b"'\nS'w'\no."


def hidden_behind_numpys_name(path, _protocol):
    return b"cnumpy\nload\n(S'" + str(path).encode() + b"'\ntR."


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("attack", [reduced, instantiated, built_as_an_object, hidden_behind_numpys_name])
def test_a_malicious_pickle_is_refused_without_side_effects(attack, protocol, tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises(DataError, match="nothing was run"):
        read_batch(attack(trap, protocol))
    assert not trap.exists()


def test_the_trap_of_these_tests_works(tmp_path):
    trap = tmp_path / "trap"
    pickle.loads(reduced(trap, 2))[b"data"].close()
    assert trap.exists()


def test_malice_is_refused_even_where_the_checksum_vouches_for_it(places, publish, tmp_path):
    trap = tmp_path / "trap"
    contents = {**contents_of("cifar10"), "test_batch": reduced(trap, 2)}
    publish("cifar10", specification_of("cifar10", contents))
    write(places.given, contents)
    with pytest.raises(DataError, match="nothing was run"):
        load_dataset("cifar10", places.given, download=False)
    assert not trap.exists()


def test_the_checksum_is_held_against_a_file_before_it_is_unpickled(places, publish, monkeypatch):
    contents = contents_of("cifar10")
    publish("cifar10", specification_of("cifar10", contents))
    write(places.given, {**contents, "test_batch": contents["test_batch"] + b"\0"})
    monkeypatch.setattr("conductance.data.cifar.read_batch", lambda _: pytest.fail("a batch was unpickled"))
    with pytest.raises(DataError, match="test_batch"):
        load_dataset("cifar10", places.given, download=False)


def test_an_array_of_anything_but_bytes_is_refused():
    with pytest.raises(DataError, match="unsigned bytes"):
        read_batch(python2_batch(PIXELS, [0, 1], code=b"O8"))
