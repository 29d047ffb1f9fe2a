"""Fetching what is missing: whole and verified, or not at all."""

import gzip
import http.server
import threading
from functools import partial

import pytest
from tiny_sets import TRAIN_COUNT, contents_of, files_below, specification_of, write, write_archive

from conductance.data import download, load_dataset
from conductance.errors import DataError

pytestmark = pytest.mark.usefixtures("places")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and remembers what it was asked for."""

    def do_GET(self):
        self.server.requests.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server of the folder `server.folder`, at `server.address`."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    server.folder, server.requests = folder, []
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mnist(publish, server):
    """A tiny MNIST, whose addresses are the folders `official` and `mirror` of the server, both empty."""
    contents = contents_of("mnist")
    addresses = (f"{server.address}/official/", f"{server.address}/mirror/")
    publish("mnist", specification_of("mnist", contents, addresses))
    return contents


@pytest.fixture
def cifar10(publish, server):
    """A tiny CIFAR-10, to be served as the archive `cifar.tar.gz`."""
    contents = contents_of("cifar10")
    publish("cifar10", specification_of("cifar10", contents, (f"{server.address}/cifar.tar.gz",)))
    return contents


def members(contents):
    return {f"cifar-10-batches-py/{name}": content for name, content in contents.items()}


def gzipped_names(contents):
    return sorted(f"MNIST/raw/{name}.gz" for name in contents)


def test_files_go_to_the_cache_and_are_fetched_only_once(mnist, server, places):
    write(server.folder / "official", mnist, gzipped=True)
    assert len(load_dataset("mnist").train) == TRAIN_COUNT
    assert files_below(places.cache) == gzipped_names(mnist)
    assert server.requests == [f"/official/{name}.gz" for name in mnist]
    load_dataset("mnist", download=False)
    load_dataset("mnist")
    assert len(server.requests) == len(mnist)


def test_files_go_to_the_data_folder_where_one_is_given(mnist, server, places):
    write(server.folder / "official", mnist, gzipped=True)
    load_dataset("mnist", places.given)
    assert files_below(places.given) == gzipped_names(mnist)
    assert files_below(places.cache) == []


def test_nothing_is_asked_for_where_downloads_are_not_allowed(mnist, server):
    write(server.folder / "official", mnist, gzipped=True)
    with pytest.raises(DataError):
        load_dataset("mnist", download=False)
    assert server.requests == []


def test_only_what_is_missing_is_fetched(mnist, server, places):
    write(server.folder / "official", mnist, gzipped=True)
    missing = "t10k-labels-idx1-ubyte"
    write(places.cache / "MNIST/raw", {name: mnist[name] for name in mnist if name != missing})
    load_dataset("mnist")
    assert server.requests == [f"/official/{missing}.gz"]


def absent(path):
    path.unlink()


def altered(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[::-1]))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-10])


def replaced_by_a_web_page(path):
    path.write_bytes(b"<html>moved</html>")


@pytest.mark.parametrize("mishap", [absent, altered, cut_short, replaced_by_a_web_page])
def test_the_mirror_gives_what_the_official_address_does_not(mishap, mnist, server, places):
    write(server.folder / "official", mnist, gzipped=True)
    write(server.folder / "mirror", mnist, gzipped=True)
    mishap(server.folder / "official/t10k-images-idx3-ubyte.gz")
    assert len(load_dataset("mnist").train) == TRAIN_COUNT
    assert files_below(places.cache) == gzipped_names(mnist)


def test_where_both_addresses_fail_the_error_gives_each_with_its_reason(mnist, server, places):
    write(server.folder / "mirror", dict.fromkeys(mnist, b"nonsense"), gzipped=True)
    with pytest.raises(DataError) as raised:
        load_dataset("mnist")
    message = str(raised.value)
    assert f"{server.address}/official/: HTTP Error 404" in message
    assert f"{server.address}/mirror/: truncated or altered" in message
    assert "--data-dir" in message
    assert str(places.cache) in message
    assert files_below(places.cache) == []


@pytest.mark.usefixtures("mnist")
def test_a_server_that_hangs_up_is_a_failure_of_that_address(monkeypatch):
    monkeypatch.setattr(Handler, "do_GET", lambda handler: handler.close_connection)
    with pytest.raises(DataError, match="could not be downloaded"):
        load_dataset("mnist")


def test_an_interrupted_download_leaves_nothing_half_written(mnist, server, places, monkeypatch):
    write(server.folder / "official", mnist, gzipped=True)
    first, second, *_ = mnist
    transfer = download.transfer

    def interrupted_at_the_second(address, path, most):
        if address.endswith(f"{second}.gz"):
            path.write_bytes(b"half of it")
            raise KeyboardInterrupt
        transfer(address, path, most)

    monkeypatch.setattr(download, "transfer", interrupted_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("mnist")
    assert files_below(places.cache) == [f"MNIST/raw/{first}.gz"]


@pytest.mark.usefixtures("mnist")
def test_a_folder_that_cannot_be_written_to_is_named(places):
    (places.given / "MNIST").write_text("a file, where a folder should be")
    with pytest.raises(DataError, match=f"cannot download into {places.given / 'MNIST/raw'}"):
        load_dataset("mnist", places.given)


def test_an_archive_gives_the_wanted_files_and_no_other(cifar10, server, places, tmp_path):
    strangers = {
        "../escaped": b"out",
        "/tmp/../escaped": b"out",
        "cifar-10-batches-py/../../escaped": b"out",
        "cifar-10-batches-py/readme.html": b"hello",
    }
    links = {"cifar-10-batches-py/link": "../../.."}
    write_archive(server.folder / "cifar.tar.gz", {**strangers, **members(cifar10)}, links)
    assert len(load_dataset("cifar10").train) == TRAIN_COUNT
    assert files_below(places.cache) == sorted(members(cifar10))
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_an_archive_is_not_followed(cifar10, server, places, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(cifar10["test_batch"])
    rest = {name: content for name, content in members(cifar10).items() if not name.endswith("test_batch")}
    write_archive(server.folder / "cifar.tar.gz", rest, {"cifar-10-batches-py/test_batch": str(secret)})
    with pytest.raises(DataError, match="the archive lacks cifar-10-batches-py/test_batch"):
        load_dataset("cifar10")
    assert "cifar-10-batches-py/test_batch" not in files_below(places.cache)


def test_an_archive_that_breaks_off_is_a_failure_of_its_address(cifar10, server, places):
    archive = server.folder / "cifar.tar.gz"
    write_archive(archive, members(cifar10))
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DataError, match="CIFAR-10 could not be downloaded"):
        load_dataset("cifar10")
    assert not [name for name in files_below(places.cache) if "download" in name or "tar" in name]


def test_an_altered_member_of_an_archive_is_not_kept(cifar10, server, places):
    write_archive(server.folder / "cifar.tar.gz", members({**cifar10, "data_batch_1": b"altered"}))
    with pytest.raises(DataError, match="truncated or altered"):
        load_dataset("cifar10")
    assert "cifar-10-batches-py/data_batch_1" not in files_below(places.cache)
