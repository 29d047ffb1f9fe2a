"""A download killed at any moment: what is there is whole, and the next one clears the rest and ends."""

import http.server
import random
import sys
import threading
import time
from functools import partial

import pytest
from tiny_sets import contents_of, files_below, specification_of, write

from children import Child
from conductance.data.catalog import DATASETS
from conductance.data.datasets import load_dataset
from conductance.data.files import uncompressed, verify

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SEEDS = [pytest.param(seed, marks=[] if seed < 2 else pytest.mark.slow) for seed in range(16)]
PIECES = 8
PAUSE = 0.04  # seconds between two pieces of a file


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, each file in pieces."""

    def copyfile(self, source, outputfile):
        content = source.read()
        size = -(-len(content) // PIECES)
        try:
            for start in range(0, len(content), size):
                outputfile.write(content[start : start + size])
                outputfile.flush()
                time.sleep(PAUSE)
        except OSError:  # the child was killed
            self.close_connection = True

    def log_message(self, *_):
        pass


class Fetch:
    """Load a data set in a child, with files that stand for the published ones."""

    def __init__(self, specification, folder):
        self.specification, self.folder = specification, folder

    def __call__(self):
        DATASETS["mnist"] = self.specification
        load_dataset("mnist", self.folder)


@pytest.fixture
def served(tmp_path):
    """The address of a slow web server of the folder `served`."""
    (tmp_path / "served").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "served"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_download_leaves_whole_files_and_the_next_ends(seed, served, tmp_path):
    contents = contents_of("mnist")
    files = specification_of("mnist", contents, (served,))
    write(tmp_path / "served", contents, gzipped=True)
    place = tmp_path / "place"
    place.mkdir()
    draws, kills = random.Random(seed), 0

    def fetch():
        return Child(["--version"], tmp_path, Fetch(files, place))

    while kills < 3 and fetch().killed_after(draws.uniform(0.1, 1.2)):
        kills += 1
        for path in (place / "MNIST/raw").glob("*-ubyte.gz"):
            verify(uncompressed(path, files.files.lengths[path.stem]), files.files.checksums[path.stem])
    status, complaint = fetch().answer()
    assert status == 0, complaint[-600:]
    assert files_below(place) == sorted(f"MNIST/raw/{name}.gz" for name in contents)
    assert not list((place / "MNIST/raw").glob(".*"))
    for name in contents:
        verify(uncompressed(place / f"MNIST/raw/{name}.gz", len(contents[name])), files.files.checksums[name])
