"""The levers of a config reach the network: weight averaging, homeostasis, leaks to scale, learnt gates."""

import pytest
import torch

from conductance.errors import InputError
from conductance.init import conductance_layers
from conductance.nn import Gate
from conductance.runs import RunFolder, load_run
from conductance.training.evaluation import evaluate
from tiny_runs import lines, run, tiny, weights


@pytest.mark.parametrize(("family", "architecture"), [("cwa", "fcn"), ("affine_bn", "cnn")])
def test_an_averaged_run_resumes_and_keeps_what_it_tested(family, architecture, interrupted, tmp_path):
    config = tiny(family, architecture, optimizer__weight_average=0.9)
    folder = interrupted(config, epoch=2)
    run(config, folder, resume=True)
    run(config, tmp_path / "uninterrupted")
    assert lines(folder) == lines(tmp_path / "uninterrupted")
    assert weights(folder) == weights(tmp_path / "uninterrupted")
    kept = load_run(folder)
    accuracy = evaluate(kept.network, kept.preprocessing, kept.dataset.test)[1]
    assert accuracy == lines(folder)[-1]["test_accuracy"]


def test_the_mean_of_the_weights_follows_its_decay(tmp_path):
    run(tiny(), tmp_path / "plain")
    run(tiny(optimizer__weight_average=1e-7), tmp_path / "fast")
    run(tiny(optimizer__weight_average=0.9), tmp_path / "slow")
    plain, fast, slow = (RunFolder(tmp_path / name).read_weights() for name in ("plain", "fast", "slow"))
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(slow["network.hidden.0.g"], plain["network.hidden.0.g"], rtol=1e-2)
    # the mean is taken of the path that the plain run takes
    assert [line["train_loss"] for line in lines(tmp_path / "slow")] == [
        line["train_loss"] for line in lines(tmp_path / "plain")
    ]


@pytest.mark.parametrize(
    "lever", [{"optimizer__homeostasis": 0.1}, {"optimizer__centered": True}, {"model__dropout": 0.2}]
)
def test_what_acts_in_training_alone_changes_a_run_and_resumes(lever, interrupted, tmp_path):
    config = tiny(**lever)
    folder = interrupted(config, epoch=2)
    run(config, folder, resume=True)
    run(config, tmp_path / "uninterrupted")
    run(tiny(), tmp_path / "without")
    assert weights(folder) == weights(tmp_path / "uninterrupted")
    assert weights(folder) != weights(tmp_path / "without")


def test_a_resting_share_sets_every_leak(tmp_path):
    run(tiny(conductance__resting_share=0.1), tmp_path / "run")
    for layer in conductance_layers(load_run(tmp_path / "run").network):
        assert layer.resting_conductance.std() > 0  # each unit's own, not one number for all


@pytest.mark.parametrize("family", ["cwa", "absnorm"])
def test_gates_are_learnt(family, tmp_path):
    run(tiny(family, conductance__learn_gate=True), tmp_path / "run")
    gates = [module for module in load_run(tmp_path / "run").network.modules() if isinstance(module, Gate)]
    assert len(gates) == 2
    assert all(gate.threshold.abs().max() > 0 for gate in gates)


@pytest.mark.parametrize(("choices", "named"), [
    ({"optimizer__weight_average": 1.0}, "weight_average"),
    ({"optimizer__homeostasis": 1.5}, "homeostasis"),
    ({"conductance__resting_share": 0.0}, "resting_share"),
    ({"family": "cwa_bn", "conductance__learn_gate": True}, "learn_gate"),
    ({"conductance__activation": "full_range", "conductance__learn_gate": True}, "learn_gate"),
    ({"family": "cwa_li", "conductance__activation": "full_range"}, "activation=full_range"),
    ({"architecture": "resnet18", "conductance__activation": "full_range"}, "activation=full_range"),
    ({"family": "affine", "conductance__activation": "full_range"}, "activation=full_range"),
    ({"data__preprocessing": "whitened"}, "preprocessing=whitened"),
])  # fmt: skip
def test_values_that_make_no_sense_are_refused(choices, named):
    with pytest.raises(InputError, match=named):
        tiny(**choices)
