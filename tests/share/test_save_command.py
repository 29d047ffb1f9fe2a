"""``conductance save``: a run's network in a folder of its own, tested as it is saved, with a page about it."""

import re
import shutil
from contextlib import nullcontext

import pytest
import torch

import conductance
from conductance import cli
from conductance.runs import load_run
from conductance.share import about
from conductance.share.run import save_run
from tiny_runs import ARCHITECTURES


def trained_well(run):
    """Whether nothing is wrong with a network, on the images that the command takes."""
    return conductance.check(run.network, run.preprocessing(run.dataset.test.pixels[:100])).ok


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_it_gives_what_the_run_gives(family, finished, tmp_path, capsys):
    cli.main(["save", str(finished / family), "--out", str(tmp_path / "saved")])
    trained = load_run(finished / family)
    expected = trained.summary["test_accuracy"]
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"saved: {tmp_path / 'saved'} (test accuracy {expected:.2f} % on 500 images)"
    )
    network, pixels = conductance.load(tmp_path / "saved"), trained.dataset.test.pixels[:50]
    with torch.no_grad():
        assert torch.equal(network(pixels), trained.network(trained.preprocessing(pixels)))
        torch.testing.assert_close(network(pixels / 255), network(pixels))
    known = about(tmp_path / "saved")
    assert known.command == trained.summary["command"] == "as typed"
    assert known.origin["family"] == family
    assert known.origin["seed"] == 3
    assert known.accuracy["test_accuracy"] == expected
    if family.startswith("cwa"):
        with pytest.raises(SystemExit) if not trained_well(trained) else nullcontext():
            cli.main(["check", str(tmp_path / "saved"), "--images", "100"])
        checked = capsys.readouterr().out
        with pytest.raises(SystemExit) if not trained_well(trained) else nullcontext():
            cli.main(["check", str(finished / family), "--images", "100"])
        assert capsys.readouterr().out == checked
    cli.main(["evaluate", str(tmp_path / "saved")])
    assert f"test accuracy {expected:.2f} %" in capsys.readouterr().out


def test_rounded_weights_are_what_is_tested(finished, tmp_path):
    trained = load_run(finished / "cwa")
    save_run(finished / "cwa", tmp_path / "saved", dtype="bfloat16")
    network = conductance.load(tmp_path / "saved")
    with torch.no_grad():
        right = network(trained.dataset.test.pixels).argmax(1) == trained.dataset.test.labels
    known = about(tmp_path / "saved")
    assert known.accuracy["test_accuracy"] == pytest.approx(100 * right.double().mean().item())
    assert known.origin["stored_as"] == "bfloat16"


def test_the_page_has_table_picture_and_command(finished, tmp_path):
    save_run(finished / "cwa", tmp_path / "saved", name="owner/name")
    page = (tmp_path / "saved/README.md").read_text()
    assert page.startswith("---\nlibrary_name: conductance\n")
    assert "# owner/name" in page
    assert "| command | `as typed` |" in page
    assert re.search(r"\| test accuracy \| \d+\.\d\d % \|", page)
    assert re.search(r"\| hidden\.0 \| CWAConv2d \| 8 \| \d+ \|", page)
    [picture] = re.findall(r"!\[[^]]*\]\((.*)\)", page)
    assert (tmp_path / "saved" / picture).read_text().startswith("<?xml")
    # no row is broken, whatever it says
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_its_code_loads_the_network(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_run(finished / "cwa", "saved")
    [code] = re.findall(r"```python\n(.*?)```", (tmp_path / "saved/README.md").read_text(), re.DOTALL)
    names = {"images": torch.rand(3, 1, 8, 8)}
    exec(code, names)
    assert names["logits"].shape == (3, 10)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere", "--out", "{out}"], "is not a run"),
        (["{run}"], "--out"),
        (["{run}", "--out", "{run}"], "holds other files"),
        (["{run}", "--out", "{out}", "--dtype", "int8"], "int8"),
    ],
)
def test_mistakes_are_one_line(words, told, finished, tmp_path, capsys):
    words = [word.format(run=finished / "cwa", out=tmp_path / "saved") for word in words]
    with pytest.raises(SystemExit) as end:
        cli.main(["save", *words])
    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert not (tmp_path / "saved").exists()


def test_weights_of_a_run_that_are_not_finite_are_refused(finished, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    shutil.copytree(finished / "affine", tmp_path / "run")
    state = load_file(tmp_path / "run/model.safetensors")
    state["network.readout.bias"][0] = torch.nan
    save_file(state, tmp_path / "run/model.safetensors")
    with pytest.raises(SystemExit):
        cli.main(["save", str(tmp_path / "run"), "--out", str(tmp_path / "saved")])
    assert "readout.bias has 1 of 10 values that are infinite or NaN" in capsys.readouterr().err
    assert not (tmp_path / "saved").exists()


def test_the_networks_that_come_with_the_package_are_listed_and_evaluated(capsys):
    cli.main(["models"])
    listed = capsys.readouterr().out
    for name in conductance.share.names():
        assert re.search(rf"{name} +{about(name).accuracy['test_accuracy']:.2f} %", listed)
    cli.main(["check", "digits-fcn"])
    assert capsys.readouterr().out.splitlines()[-1] == "ok"
    cli.main(["evaluate", "digits-fcn"])
    said = about("digits-fcn").accuracy
    assert (
        f"digits-fcn: test accuracy {said['test_accuracy']:.2f} %, loss {said['test_loss']:.4f}"
        in capsys.readouterr().out
    )
