"""How the step size changes, and when training stops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.runs.config import ProtocolConfig
from conductance.training.protocols import OneCycle, create_protocol
from tiny_runs import STEPS, run, tiny

PEAK = 0.5


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)


def step_of(optimizer):
    return optimizer.param_groups[0]["lr"]


def after_steps(protocol, sgd, count):
    """The step sizes of that many steps."""
    taken = []
    for _ in range(count):
        taken.append(step_of(sgd))
        sgd.step()
        protocol.after_step()
    return taken


@given(total=st.integers(2, 200), warmup=st.floats(0, 0.9))
def test_onecycle_rises_to_the_peak_at_warmup_and_ends_at_nothing(total, warmup):
    sgd = optimizer()
    taken = after_steps(create_protocol(sgd, ProtocolConfig(warmup=warmup), total), sgd, total)
    peak = max(1, round(warmup * total))
    assert taken[:peak] == pytest.approx([PEAK * (step + 1) / peak for step in range(peak)])
    assert taken[peak - 1] == max(taken)
    assert all(later <= earlier for earlier, later in zip(taken[peak:], taken[peak + 1 :], strict=False))
    assert all(step > 0 for step in taken)
    if peak < total:
        assert step_of(sgd) == pytest.approx(0, abs=1e-12)


@given(total=st.integers(2, 50), warmup=st.floats(0, 1), stop=st.integers(0, 50))
def test_onecycle_goes_on_where_it_stopped(total, warmup, stop):
    config, stop = ProtocolConfig(warmup=warmup), min(stop, total)
    sgd = optimizer()
    expected = after_steps(create_protocol(sgd, config, total), sgd, total)
    first, second = optimizer(), optimizer()
    protocol, resumed = create_protocol(first, config, total), create_protocol(second, config, total)
    before = after_steps(protocol, first, stop)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(protocol.state_dict())
    assert before + after_steps(resumed, second, total - stop) == expected


@pytest.mark.parametrize("accumulate", [1, 2, 5, 100])
def test_onecycle_counts_steps_not_batches(accumulate, out, monkeypatch):
    taken, after_step = [], OneCycle.after_step

    def spied(self):
        taken.append(step_of(self.schedule.optimizer))
        after_step(self)
        spied.left = step_of(self.schedule.optimizer)

    monkeypatch.setattr(OneCycle, "after_step", spied)
    run(tiny(accumulate=accumulate, optimizer__learning_rate=PEAK), out)
    assert len(taken) == 2 * -(-STEPS // accumulate)
    assert max(taken) == PEAK
    assert spied.left == pytest.approx(0, abs=1e-12)


def test_onecycle_moves_every_group_alike():
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    sgd = torch.optim.SGD([{"params": weights[:1], "lr": 0.5}, {"params": weights[1:], "lr": 0.1}])
    protocol = create_protocol(sgd, ProtocolConfig(), 10)
    for _ in range(9):
        sgd.step()
        protocol.after_step()
        large, small = (group["lr"] for group in sgd.param_groups)
        assert large == pytest.approx(5 * small)


def by_hand(losses, patience):
    """Step sizes after each epoch, as the paper's section 4.3 has it."""
    step, best, without = PEAK, float("inf"), 0
    for loss in losses:
        best, without = (loss, 0) if loss < best else (best, without + 1)
        if without == patience:
            step, without = step / 10, 0
        yield step


def after_epochs(protocol, sgd, losses):
    for loss in losses:
        protocol.after_epoch(loss, 50.0)
        yield step_of(sgd)


losses = st.lists(st.integers(0, 5).map(float), max_size=20)


@given(losses=losses, patience=st.integers(1, 5))
def test_paper_divides_by_ten_after_just_so_many_epochs_without_a_lower_loss(losses, patience):
    sgd = optimizer()
    protocol = create_protocol(sgd, ProtocolConfig("paper", patience=patience), 1)
    assert list(after_epochs(protocol, sgd, losses)) == pytest.approx(list(by_hand(losses, patience)), rel=1e-9, abs=0)


@given(start=st.floats(1e-12, 1.0), plateaus=st.integers(1, 12))
def test_paper_goes_on_dividing_however_small_the_step_is(start, plateaus):
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=start)
    protocol = create_protocol(sgd, ProtocolConfig("paper", patience=1), 1)
    steps = list(after_epochs(protocol, sgd, [1.0] * (plateaus + 1)))
    assert steps == pytest.approx([start / 10**division for division in range(plateaus + 1)], rel=1e-9, abs=0)


def test_paper_waits_neither_longer_nor_shorter():
    sgd = optimizer()
    protocol = create_protocol(sgd, ProtocolConfig("paper", patience=3), 1)
    steps = list(after_epochs(protocol, sgd, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.95]))
    assert [round(PEAK / step) for step in steps] == [1, 1, 1, 10, 10, 10, 100, 100, 100]


@given(before=losses, after=losses, patience=st.integers(1, 5))
def test_paper_goes_on_where_it_stopped(before, after, patience):
    config = ProtocolConfig("paper", patience=patience)
    first, second = optimizer(), optimizer()
    protocol, resumed = create_protocol(first, config, 1), create_protocol(second, config, 1)
    list(after_epochs(protocol, first, before))
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(protocol.state_dict())
    assert list(after_epochs(resumed, second, after)) == list(after_epochs(protocol, first, after))


@pytest.mark.parametrize(("accuracy", "stops"), [(99.3, False), (99.4, False), (99.5, True)])
def test_paper_stops_above_the_training_accuracy(accuracy, stops):
    assert create_protocol(optimizer(), ProtocolConfig("paper"), 1).after_epoch(1.0, accuracy) is stops


def test_onecycle_never_stops_early():
    assert create_protocol(optimizer(), ProtocolConfig(), 10).after_epoch(0.0, 100.0) is False


def test_a_run_ends_when_its_protocol_says_so(out):
    config = tiny(epochs=5, protocol__name="paper", protocol__stop_train_accuracy=0.0)
    assert run(config, out)["epochs"] == 1
