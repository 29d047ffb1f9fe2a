"""What a finished run leaves in its folder."""

import json
import subprocess

import numpy as np
import pytest
import torch

from conductance import __version__
from conductance.analysis import observe
from conductance.analysis.internals import EDGES, count_balance
from conductance.errors import RunError
from conductance.runs import RunFolder, load_run, provenance
from conductance.training import evaluate
from tiny_runs import ARCHITECTURES, lines

EVERY_FILE = {"config.json", "metrics.jsonl", "summary.json", "model.safetensors", "predictions.npz"}
CONDUCTANCES = ("cwa", "cwa_bn")
METRICS = [
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "learning_rate",
    "seconds",
]


@pytest.fixture(params=ARCHITECTURES)
def family(request):
    return request.param


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_the_folder_holds_the_results_and_no_checkpoint(family, finished):
    expected = EVERY_FILE | ({"internals.json"} if family in CONDUCTANCES else set())
    assert {path.name for path in (finished / family).iterdir()} == expected


def test_every_epoch_has_its_line(family, finished):
    metrics = [json.loads(line) for line in (finished / family / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in metrics] == [1, 2]
    for line in metrics:
        assert sorted(line) == sorted(METRICS)
        assert all(np.isfinite(value) for value in line.values())


def test_the_summary_says_what_came_of_which_run(family, finished):
    summary, metrics = summary_of(finished / family), lines(finished / family)
    assert "config" not in summary  # it stands in config.json alone
    assert {name: summary[name] for name in ("name", "dataset", "architecture", "family", "seed", "epochs")} == {
        "name": "tiny",
        "dataset": "digits",
        "architecture": ARCHITECTURES[family],
        "family": family,
        "seed": 3,
        "epochs": 2,
    }
    for name in ("test_accuracy", "train_accuracy", "validation_accuracy"):
        assert summary[name] == metrics[-1][name]
    assert summary["best_test_accuracy"] == max(line["test_accuracy"] for line in metrics)
    assert summary["seconds"] > 0


def test_the_summary_says_where_it_came_from(finished):
    summary = summary_of(finished / "cwa")
    assert summary["command"] == "as typed"
    assert summary["git_commit"] == provenance.git_commit()
    assert summary["hardware"]["device"] == "cpu"
    assert summary["hardware"]["threads"] == torch.get_num_threads()
    assert summary["hardware"].keys() >= {"cpu", "system"}
    assert summary["versions"]["conductance"] == __version__
    assert summary["versions"]["torch"] == torch.__version__
    assert summary["versions"].keys() >= {"numpy", "accelerate", "python"}


def test_outside_a_checkout_there_is_no_commit(monkeypatch):
    def no_git(*_, **__):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert provenance.git_commit() is None


def test_another_projects_checkout_is_not_the_sources(tmp_path, monkeypatch):
    for command in (("init", "--quiet"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet",
                                          "--allow-empty", "--message", "theirs")):  # fmt: skip
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    installed = tmp_path / "__init__.py"
    installed.touch()
    monkeypatch.setattr(provenance.conductance, "__file__", str(installed))
    assert provenance.git_commit() is None


def test_a_loaded_run_is_as_good_as_its_summary_says(family, finished):
    trained = load_run(finished / family)
    assert not trained.network.training
    loss, accuracy = evaluate(trained.network, trained.preprocessing, trained.dataset.test)
    assert accuracy == summary_of(finished / family)["test_accuracy"]
    assert loss == pytest.approx(lines(finished / family)[-1]["test_loss"], rel=1e-6)
    assert summary_of(finished / family)["parameters"] == sum(p.numel() for p in trained.network.parameters())


def test_evaluating_leaves_the_network_in_the_mode_it_was_in(finished):
    trained = load_run(finished / "affine_bn")
    before = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    evaluate(trained.network.train(), trained.preprocessing, trained.dataset.test)
    assert trained.network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.network.state_dict().items())


@pytest.mark.parametrize("family", CONDUCTANCES)
def test_internals_are_those_of_the_trained_network(family, finished):
    trained = load_run(finished / family)
    internals = json.loads((finished / family / "internals.json").read_text())
    batch = trained.preprocessing(trained.dataset.test.pixels[: internals["images"]])
    seen = observe(trained.network, batch)
    assert len(seen) == len(internals["layers"]) == 2
    for layer, observed in zip(internals["layers"], seen, strict=True):
        G = observed.layer.conductance.detach()
        excites = (observed.layer.presynaptic.per_synapse(G) > 0).expand_as(G)
        assert (layer["name"], layer["units"], layer["fan_in"]) == (observed.name, len(G), G[0].numel())
        check_counts(layer, "excitatory_conductance", G[excites])
        check_counts(layer, "inhibitory_conductance", G[~excites])
        check_counts(layer, "z", observed.z)
        check_counts(layer, "p", observed.z.clamp(min=0))
        units = [dim for dim in range(observed.z.ndim) if dim != 1]
        E, I = (means.double().mean(units).numpy() for means in (observed.excitation, observed.inhibition))
        assert layer["balance"] == count_balance(E, I)
        assert layer["active_fraction"] == pytest.approx(float((observed.z > 0).float().mean()))


def check_counts(layer, quantity, values):
    """All values are counted; those beyond the outermost edges in the outermost bins."""
    edges = np.array(EDGES[quantity])
    inside = values.flatten().double().numpy().clip(edges[0], edges[-1])
    assert layer[quantity] == np.histogram(inside, edges)[0].tolist()
    assert sum(layer[quantity]) == values.numel()


@pytest.mark.parametrize("family", CONDUCTANCES)
def test_a_run_of_0_1_loads_as_the_network_that_it_was(family, finished, out):
    copy_run(finished / family, out)
    config = json.loads((out / "config.json").read_text())
    config["conductance"]["nonnegative"] = "projected"
    (out / "config.json").write_text(json.dumps(config))
    weights = RunFolder(out).read_weights()
    unlabeled = {name: tensor for name, tensor in weights.items() if not name.endswith("_extra_state")}
    assert len(unlabeled) < len(weights)
    RunFolder(out).write_weights(unlabeled)
    old, new = load_run(out), load_run(finished / family)
    assert (old.settings["conductance"]["nonnegative"], old.config) == ("projected", new.config)
    images = old.preprocessing(old.dataset.test.pixels[:50])
    assert torch.equal(old.network(images), new.network(images))


def damaged(content):
    return lambda folder, name: (folder / name).write_bytes(content)


def absent(folder, name):
    (folder / name).unlink()


@pytest.mark.parametrize(
    ("name", "mishap", "complaint"),
    [
        ("config.json", absent, "holds no config.json, so it is not a run"),
        ("config.json", damaged(b'{"name": "ti'), "config.json is damaged .it is not valid JSON"),
        ("config.json", damaged(b"\xff\xfe"), "config.json is damaged .it is not UTF-8"),
        ("config.json", damaged(b"[1, 2]"), "config.json is not a JSON object"),
        ("config.json", damaged(b'{"name": "tiny"}'), "config.json lacks 'seed'"),
        ("model.safetensors", absent, "holds no model.safetensors: its weights were not kept"),
        ("model.safetensors", damaged(b"\0" * 100), "model.safetensors is damaged"),
    ],
)
def test_a_damaged_run_is_refused_by_name(name, mishap, complaint, finished, out):
    copy_run(finished / "cwa", out)
    mishap(out, name)
    with pytest.raises(RunError, match=complaint):
        load_run(out)


def test_weights_of_another_network_are_refused(finished, out):
    copy_run(finished / "cwa", out)
    (out / "model.safetensors").write_bytes((finished / "affine" / "model.safetensors").read_bytes())
    with pytest.raises(RunError, match=r"model\.safetensors does not fit .*config\.json"):
        load_run(out)


@pytest.mark.parametrize("path", ["nowhere", "a_file"])
def test_what_is_no_run_is_refused(path, tmp_path):
    (tmp_path / "a_file").write_text("hello")
    with pytest.raises(RunError, match=path):
        load_run(tmp_path / path)


def copy_run(source, target):
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    assert RunFolder(target).finished
