"""``conductance live``: writes a page, or serves it on loopback until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from conductance.cli.live import companion
from conductance.live.server import HOST, page_server


def test_it_writes_the_page_of_the_default_network(call, tmp_path):
    status, out, err = call("live", "--output", tmp_path / "page")
    assert (status, err) == (0, "")
    assert out == f"live page: {tmp_path / 'page' / 'index.html'}\n"
    page = (tmp_path / "page" / "index.html").read_text()
    assert '"name":"mnist-small"' in page
    assert '"name":"mnist-small-batchnorm"' in page


def test_it_shows_a_run(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--model.widths", "4", "4", "--epochs", "1", "--data.batch-size", "500", "--device", "cpu"]
    assert call("train", "digits-cnn-cwa", *options, "--out", "ours")[0] == 0
    assert call("train", "digits-cnn-affine_bn", *options, "--out", "theirs")[0] == 0
    assert call("live", "ours", "--beside", "theirs", "--output", "page")[0] == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert '"name":"digits-cnn-affine_bn"' in page
    assert "the first test images of digits" in page


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["mnist-small-batchnorm"], "no membrane"),
        (["mnist-small", "--beside", "mnist-cnn"], "cannot show beside"),
        (["mnist-small", "--beside", "digits-cnn"], "of the same images"),
        (["mnist-small", "--port", "99999999"], "port=99999999: must lie in"),
        (["mnist-small", "--port", "-1"], "port=-1: must lie in"),
    ],
)
def test_mistakes_are_one_line(call, words, reason):
    status, out, err = call("live", *words)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert reason in err


def test_a_port_that_is_taken_is_said_in_one_line(call):
    with socket.create_server((HOST, 0)) as taken:
        status, _, err = call("live", "--port", taken.getsockname()[1])
    assert status == 2
    assert "cannot be used" in err
    assert err.count("\n") == 1


def test_what_comes_along_to_be_compared(tmp_path, monkeypatch):
    from pathlib import Path

    assert companion(Path("mnist-small")) == Path("mnist-small-batchnorm")
    assert companion(Path("digits-cnn")) is None
    monkeypatch.chdir(tmp_path)
    Path("mnist-small").mkdir()
    assert companion(Path("mnist-small")) is None  # a folder of one's own


def test_the_server_gives_the_page_alone_and_on_loopback_alone():
    with page_server("<p>page", 0) as serving:
        address, port = serving.server_address[:2]
        assert address == HOST == "127.0.0.1"
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            for path in ("/", "/index.html", "/?again"):
                with urllib.request.urlopen(f"http://{HOST}:{port}{path}") as answer:
                    assert answer.read() == b"<p>page"
                    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            for path in ("/etc/passwd", "/../x", "/favicon.ico"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(f"http://{HOST}:{port}{path}")
        finally:
            serving.shutdown()
            thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_it_in_one_line():
    command = [sys.executable, "-m", "conductance", "live", "digits-fcn"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        line = process.stdout.readline()
        assert line.startswith("digits-fcn: http://127.0.0.1:")
        with urllib.request.urlopen(line.split()[1]) as answer:
            assert b"Watch conductances decide" in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "stopped\n")
