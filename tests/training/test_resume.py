"""A run that was stopped goes on as if it had not been."""

import pytest
import torch

from conductance.errors import RunError
from conductance.optim import create_optimizer
from conductance.runs import ProtocolConfig, Run, RunFolder
from conductance.training.protocols import create_protocol
from tiny_runs import lines, run, tiny, weights

COMMON = {"epochs": 4, "accumulate": 2, "data__augmentation": "shift", "data__max_shift": 1}
PAPER = {"protocol__name": "paper", "protocol__patience": 1, "optimizer__learning_rate": 0.5}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    run(tiny(**COMMON), folder)
    return folder


@pytest.mark.parametrize("protocol", [{}, PAPER], ids=["onecycle", "paper"])
@pytest.mark.parametrize(("family", "architecture"), [("cwa", "cnn"), ("affine_bn", "fcn")])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(family, architecture, protocol, interrupted, tmp_path):
    config = tiny(family, architecture, **COMMON, **protocol)
    folder = interrupted(config, epoch=3)
    assert len(lines(folder)) == 2
    run(config, folder, resume=True)
    run(config, tmp_path / "uninterrupted")
    assert lines(folder) == lines(tmp_path / "uninterrupted")
    assert weights(folder) == weights(tmp_path / "uninterrupted")


def test_stopping_again_and_again_changes_nothing(interrupted, uninterrupted):
    config = tiny(**COMMON)
    folder = interrupted(config, epoch=1)
    assert not (folder / "metrics.jsonl").exists()
    for epoch, finished in ((2, 1), (1, 1), (3, 3)):
        interrupted(config, epoch, resume=True)
        assert len(lines(folder)) == finished
    run(config, folder, resume=True)
    assert (lines(folder), weights(folder)) == (lines(uninterrupted), weights(uninterrupted))


@pytest.mark.parametrize("broken", ["write_weights", "write_json"])
def test_a_run_cut_off_after_its_last_epoch_only_writes_its_results(broken, out, uninterrupted, monkeypatch):
    config, original = tiny(**COMMON), getattr(RunFolder, broken)

    def cut_off(self, *arguments):
        if self.checkpoint_file.exists():
            raise KeyboardInterrupt
        original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, broken, cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(config, out)
    assert len(lines(out)) == 4
    assert not RunFolder(out).finished
    monkeypatch.setattr("conductance.training.trainer.train_epoch", lambda *_: pytest.fail("trained on"))
    run(config, out, resume=True)
    assert (lines(out), weights(out)) == (lines(uninterrupted), weights(uninterrupted))


@pytest.mark.parametrize("epoch", [1, 3, 4])
@pytest.mark.parametrize("place", [(torch, "save"), (RunFolder, "write_metrics")], ids=["checkpoint", "metrics"])
def test_a_run_cut_off_while_it_saves_loses_no_line(place, epoch, out, uninterrupted, monkeypatch):
    config, write, written = tiny(**COMMON), getattr(*place), []

    def cut_off(*arguments):
        written.append(arguments)
        if len(written) == epoch:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*place, cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(config, out)
    run(config, out, resume=True)
    assert (lines(out), weights(out)) == (lines(uninterrupted), weights(uninterrupted))


def test_a_run_that_its_protocol_stopped_stays_stopped(out, monkeypatch):
    config = tiny(protocol__name="paper", protocol__stop_train_accuracy=0.0, epochs=4)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_weights", lambda *_: pytest.fail("cut off"))
        with pytest.raises(pytest.fail.Exception):
            run(config, out)
    assert run(config, out, resume=True)["epochs"] == 1


def test_resuming_a_finished_run_gives_its_summary_and_writes_nothing(finished):
    folder = RunFolder(finished / "cwa")
    before = {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    assert run(folder.read_config(), folder.path, resume=True) == Run(folder.path).summary
    assert {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()} == before


def test_resuming_where_there_is_nothing_starts(out):
    assert run(tiny(epochs=1), out, resume=True)["epochs"] == 1


def test_another_seed_is_another_run(interrupted):
    folder = interrupted(tiny(), epoch=2)
    with pytest.raises(RunError, match="seed is 0 there, 1 here"):
        run(tiny(seed=1), folder, resume=True)


def test_moments_from_a_device_with_another_layout_are_those_of_the_same_weights():
    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(36, 2))

    def step(model, optimizer):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()

    images = torch.rand(5, 3, 5, 5)
    here, there = network(), network().to(memory_format=torch.channels_last)
    one, other = (create_optimizer(model, "adam") for model in (here, there))
    for _ in range(3):
        step(here, one)
        step(there, other)
    resumed = network()
    resumed.load_state_dict(there.state_dict())
    again = create_optimizer(resumed, "adam")
    again.load_state_dict(other.state_dict())
    step(resumed, again)
    step(here, one)
    torch.testing.assert_close(dict(resumed.named_parameters()), dict(here.named_parameters()), rtol=1e-4, atol=1e-5)


def test_the_schedule_goes_on_from_the_steps_of_the_checkpoint():
    parameter = torch.nn.Parameter(torch.zeros(1))
    first = create_protocol(torch.optim.SGD([parameter], lr=0.5), ProtocolConfig(), 10)
    for _ in range(4):
        first.schedule.optimizer.step()
        first.after_step()
    other_draw = torch.optim.SGD([parameter], lr=0.9)
    resumed = create_protocol(other_draw, ProtocolConfig(), 10)
    other_draw.load_state_dict(first.schedule.optimizer.state_dict())
    resumed.load_state_dict(first.state_dict())
    for protocol in (first, resumed):
        protocol.schedule.optimizer.step()
        protocol.after_step()
    assert other_draw.param_groups[0]["lr"] == first.schedule.optimizer.param_groups[0]["lr"]
