"""A file takes no more memory, room and time than what it stands for: small ones that would grow are refused first."""

import gzip
import io
import subprocess
import sys
import tarfile
import zlib
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_download import Handler, cifar10, members, mnist, server  # noqa: F401 (fixtures)
from tiny_sets import contents_of, files_below, specification_of, write

from conductance.data import download, load_dataset, transfer
from conductance.data.idx import read_idx
from conductance.data.picture import read_picture
from conductance.errors import DataError
from memory import MEBI, at_most

pytestmark = pytest.mark.usefixtures("places")

BOMB = 300  # MiB that a few hundred kilobytes stand for


def bomb():
    """Zeros, gzipped."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(MEBI)) for _ in range(BOMB)), packer.flush()])


@pytest.fixture
def small(publish):
    """A tiny data set that says how long its files are."""

    def published(name, addresses):
        contents = contents_of(name)
        specification = specification_of(name, contents, addresses)
        lengths = {file: len(content) for file, content in contents.items()}
        publish(name, replace(specification, files=replace(specification.files, lengths=lengths)))
        return contents

    return published


def test_a_gzipped_file_is_unzipped_no_further_than_is_published(small, places):
    contents = small("mnist", ())
    write(places.cache / "MNIST/raw", contents, gzipped=True)
    (places.cache / "MNIST/raw/train-images-idx3-ubyte.gz").write_bytes(bomb())
    with at_most(20), pytest.raises(DataError, match=r"train-images.* holds more than the .* bytes that are published"):
        load_dataset("mnist")


def test_a_plain_file_is_read_no_further_than_is_published(small, places):
    write(places.cache / "MNIST/raw", small("mnist", ()))
    with (places.cache / "MNIST/raw/train-images-idx3-ubyte").open("r+b") as file:
        file.truncate(BOMB * MEBI)
    with at_most(20), pytest.raises(DataError, match="holds more than"):
        load_dataset("mnist")


def test_a_download_is_unzipped_no_further_than_is_published(small, server, places):  # noqa: F811
    contents = small("mnist", (f"{server.address}/",))
    write(server.folder, contents, gzipped=True)
    (server.folder / "train-images-idx3-ubyte.gz").write_bytes(bomb())
    with at_most(20), pytest.raises(DataError, match="holds more than"):
        load_dataset("mnist")
    assert files_below(places.cache) == []


@pytest.mark.parametrize("where", ["wanted", "stranger", "header"])
def test_an_archive_is_unzipped_no_further_than_is_published(where, small, server, places):  # noqa: F811
    contents = small("cifar10", (f"{server.address}/cifar.tar.gz",))
    with tarfile.open(server.folder / "cifar.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        name = "cifar-10-batches-py/" + ("data_batch_1" if where == "wanted" else "readme.html")
        member = tarfile.TarInfo(name)
        member.size = BOMB * MEBI
        if where == "header":
            member.size, member.pax_headers = 0, {"comment": "0" * (BOMB // 10 * MEBI)}
        with open("/dev/zero", "rb") as zeros:
            archive.addfile(member, zeros if where != "header" else io.BytesIO())
        for file, content in members(contents).items():
            rest = tarfile.TarInfo(file)
            rest.size = len(content)
            archive.addfile(rest, io.BytesIO(content))
    with at_most(20), pytest.raises(DataError, match=r"holds more than|more than is published"):
        load_dataset("cifar10")
    assert files_below(places.cache) == []


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "without"])
def test_a_download_ends_where_what_is_published_does(told, small, server, monkeypatch):  # noqa: F811
    small("mnist", (f"{server.address}/",))
    monkeypatch.setattr(download, "SLACK", 1000)
    sent = []

    def endless(handler):
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        try:
            for _ in range(BOMB):
                handler.wfile.write(bytes(MEBI))
                sent.append(MEBI)
        except OSError:
            pass

    monkeypatch.setattr(Handler, "do_GET", endless)
    with at_most(20), pytest.raises(DataError, match=r"serves more than the .* bytes that are published"):
        load_dataset("mnist")
    assert len(sent) < BOMB / 2


@pytest.mark.parametrize(("limits", "told"), [({"WINDOW": 60}, "less than"), ({"LONGEST": 100}, "more than")])
def test_a_server_that_drips_is_left(limits, told, small, server, monkeypatch):  # noqa: F811
    """A clock that goes on by 50 seconds at each look: never silent, never fast enough."""
    contents = small("mnist", (f"{server.address}/drips/", f"{server.address}/nothing/"))
    write(server.folder, contents, gzipped=True)
    monkeypatch.setattr(transfer, "WINDOW", 1e9)
    monkeypatch.setattr(transfer, "LONGEST", 1e9)
    for name, limit in limits.items():
        monkeypatch.setattr(transfer, name, limit)
    now = iter(range(0, 10**9, 50))
    monkeypatch.setattr(transfer, "time", SimpleNamespace(monotonic=lambda: next(now)))

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x")

    monkeypatch.setattr(Handler, "do_GET", drip)
    with pytest.raises(DataError, match=rf"(?s)drips/: it (sent|took) {told}.*nothing/: it"):
        load_dataset("mnist")


def test_what_a_killed_download_left_is_cleared_by_the_next(small, server, places):  # noqa: F811
    write(server.folder, small("mnist", (f"{server.address}/",)), gzipped=True)
    left = places.cache / "MNIST/raw/.download-killed"
    left.mkdir(parents=True)
    (left / "half").write_bytes(bytes(1000))
    load_dataset("mnist")
    assert not left.exists()
    assert all(name.endswith(".gz") for name in files_below(places.cache))


def test_two_downloads_wait_for_each_other(small, server, places):  # noqa: F811
    """While another process downloads, what it has begun is left alone; afterwards nothing is fetched again."""
    folder = places.cache / "MNIST/raw"
    contents = small("mnist", (f"{server.address}/",))
    held = """
import sys, filelock, pathlib, gzip
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
with filelock.FileLock(folder / ".downloading"):
    (folder / ".download-other").mkdir()
    print("held", flush=True)
    sys.stdin.readline()
    assert (folder / ".download-other").is_dir()
    for file in pathlib.Path(sys.argv[2]).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
"""
    write(server.folder, contents, gzipped=True)
    with subprocess.Popen(
        [sys.executable, "-c", held, str(folder), str(server.folder)], stdin=-1, stdout=-1, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        other.stdin.write("\n")
        other.stdin.flush()
        load_dataset("mnist")
    assert other.returncode == 0
    assert server.requests == []


@pytest.mark.parametrize(
    "contents", [b"", b"\0\0\x08", b"\0\0\x08\x03" + b"\xff" * 12, b"\0\0\x08\xff" + b"\xff" * 200]
)
def test_an_idx_file_whose_header_promises_too_much(contents):
    with at_most(5), pytest.raises(DataError, match="IDX"):
        read_idx(contents)


@pytest.mark.parametrize("side", [9_000, 20_000, 60_000])
def test_an_image_that_would_unfold_is_refused_before(side, tmp_path):
    """A PNG of some bytes that stands for a hundred million pixels and more."""
    pillow = pytest.importorskip("PIL.Image")
    file = tmp_path / "bomb.png"
    pillow.fromarray(np.zeros((8, 8), np.uint8)).save(file)
    contents = bytearray(file.read_bytes())
    contents[16:24] = (side).to_bytes(4, "big") * 2
    contents[29:33] = zlib.crc32(contents[12:29]).to_bytes(4, "big")
    file.write_bytes(contents)
    with at_most(5), pytest.raises(DataError, match=r"more than 67,108,864.*; resize it"):
        read_picture(file, 8)


def test_published_lengths_are_those_of_the_contents():
    """The lengths in the catalog belong to the files in it, and images fit into them."""
    from conductance.data import DATASETS

    for specification in DATASETS.values():
        if specification.files is not None:
            assert specification.files.lengths.keys() == specification.files.checksums.keys()
    lengths = DATASETS["mnist"].files.lengths
    assert lengths["train-images-idx3-ubyte"] == 16 + 60_000 * 28 * 28
    assert lengths["t10k-labels-idx1-ubyte"] == 8 + 10_000
    assert gzip.decompress(gzip.compress(b"x")) == b"x"
