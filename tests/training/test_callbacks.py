"""Callbacks see every step and epoch, and may end a training."""

import pytest
import torch
from torch import nn

from conductance.errors import InputError, UnknownNameError
from conductance.training import Trainer, TrainingConfig
from conductance.training.callbacks import MOMENTS

INPUTS = torch.rand(25, 3, generator=torch.Generator().manual_seed(0))
CLASSES = (INPUTS[:, 0] > 0.5).long()
STEPS = 4  # 25 examples in batches of 7


def trainer_of(*callbacks, epochs=3, folder=None, **choices):
    torch.manual_seed(0)
    config = TrainingConfig(epochs=epochs, batch_size=7, **choices)
    options = {"test": (INPUTS, CLASSES), "folder": folder, "device": "cpu", "progress": False}
    return Trainer(nn.Linear(3, 2), (INPUTS, CLASSES), config, callbacks=callbacks, **options)


class Recorder:
    """Notes what happens, and may act on it."""

    def __init__(self, act=None):
        self.seen = []
        self.act = act or (lambda *_: None)

    def _note(self, moment, trainer):
        if moment != "end":  # which may come in the middle of an epoch
            assert trainer.epoch == len(trainer.history) + (moment == "step")
        self.seen.append((moment, trainer.step, len(trainer.history)))
        self.act(moment, trainer)

    def on_start(self, trainer):
        self._note("start", trainer)

    def on_step(self, trainer):
        self._note("step", trainer)

    def on_epoch(self, trainer):
        self._note("epoch", trainer)

    def on_end(self, trainer):
        self._note("end", trainer)


def expected(steps, epochs):
    """What is seen of whole epochs."""
    seen = [("start", 0, 0)]
    for epoch in range(epochs):
        seen += [("step", epoch * steps + step, epoch) for step in range(1, steps + 1)]
        seen.append(("epoch", (epoch + 1) * steps, epoch + 1))
    return [*seen, ("end", epochs * steps, epochs)]


@pytest.mark.parametrize("accumulate", [1, 2, 3, 9])
def test_they_see_every_step_and_epoch_in_order(accumulate):
    recorder = Recorder()
    trainer_of(recorder, accumulate=accumulate).fit()
    assert recorder.seen == expected(-(-STEPS // accumulate), 3)


def test_a_function_is_called_after_each_epoch():
    losses = []
    trainer = trainer_of(lambda trainer: losses.append(trainer.history[-1]["test_loss"]))
    assert losses == []
    assert [epoch["test_loss"] for epoch in trainer.fit()] == losses
    assert len(losses) == 3


def test_the_loss_of_a_step_is_seen():
    losses = []
    watching = Recorder(lambda moment, trainer: losses.append(float(trainer.step_loss)) if moment == "step" else None)
    history = trainer_of(watching, epochs=1).fit()
    sizes = [7, 7, 7, 4]
    mean = sum(size * loss for size, loss in zip(sizes, losses, strict=True)) / 25
    assert history[0]["train_loss"] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(("moment", "steps", "epochs"), [("start", 0, 0), ("step", 1, 1), ("epoch", STEPS, 1)])
def test_stop_ends_after_the_step_under_way(moment, steps, epochs, tmp_path):
    recorder = Recorder(lambda now, trainer: trainer.stop() if now == moment else None)
    trainer = trainer_of(recorder, folder=tmp_path / "run") if epochs else trainer_of(recorder)
    history = trainer.fit()
    assert (trainer.step, len(history)) == (steps, epochs)
    assert recorder.seen[-1] == ("end", steps, epochs)
    assert trainer.stopped
    if epochs:
        assert history[-1]["test_loss"] == pytest.approx(trainer.evaluate((INPUTS, CLASSES))["loss"])
        resumed = trainer_of(Recorder(), folder=tmp_path / "run")
        assert resumed.fit(resume=True) == history


@pytest.mark.parametrize("moment", ["start", "step", "epoch"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_ends_training_cleanly(moment, error, tmp_path, capsys):
    def fail(now, trainer):
        if now == moment and trainer.step >= (0 if moment == "start" else STEPS + 1):
            raise error("enough")

    recorder = Recorder(fail)
    trainer = trainer_of(recorder, folder=tmp_path / "run")
    with pytest.raises(error, match="enough"):
        trainer.fit()
    assert recorder.seen[-1][0] == "end"
    assert "forward" not in vars(trainer.network)
    whole, resumed = trainer_of(), trainer_of(folder=tmp_path / "run")
    whole.fit(), resumed.fit(resume=True)
    torch.testing.assert_close(resumed.network.state_dict(), whole.network.state_dict(), rtol=0, atol=0)
    assert capsys.readouterr() == ("", "")


def test_their_state_is_part_of_a_checkpoint(tmp_path):
    class Patience:
        """Stops after two epochs that are no better than the best one."""

        def __init__(self):
            self.calls = 0

        def on_epoch(self, trainer):
            self.calls += 1
            if self.calls == 2 and trainer.step < 3 * STEPS:
                self.interrupt()

        def interrupt(self):
            pass

        def state_dict(self):
            return {"calls": self.calls}

        def load_state_dict(self, state):
            self.calls = state["calls"]

    def interrupt():
        raise KeyboardInterrupt

    broken = Patience()
    broken.interrupt = interrupt
    with pytest.raises(KeyboardInterrupt):
        trainer_of(broken, epochs=4, folder=tmp_path / "run").fit()
    resumed = Patience()
    trainer_of(resumed, epochs=4, folder=tmp_path / "run").fit(resume=True)
    assert resumed.calls == 4  # of the second epoch nothing was kept, so it was trained again


def test_one_training_may_run_in_another():
    def nested(trainer):
        trainer_of(epochs=1, precision="bf16").fit()
        assert trainer.evaluate((INPUTS, CLASSES))["loss"] == pytest.approx(trainer.history[-1]["test_loss"])

    inner, plain = trainer_of(nested), trainer_of()
    inner.fit(), plain.fit()
    torch.testing.assert_close(inner.network.state_dict(), plain.network.state_dict(), rtol=0, atol=0)


class Misspelled:
    def on_epoch_end(self, trainer):
        """Lightning's and Keras's name."""


@pytest.mark.parametrize(("callback", "error", "complaint"), [
    (Misspelled(), UnknownNameError, "'on_epoch_end'; did you mean 'on_epoch'"),
    (object(), InputError, "has none of the methods on_start, on_step, on_epoch, on_end"),
    (Recorder, InputError, "is not a callback; give an object"),
    ({"on_epoch": print}, InputError, "is not a callback"),
])  # fmt: skip
def test_what_is_no_callback_is_refused(callback, error, complaint):
    with pytest.raises(error, match=complaint):
        trainer_of(callback)


def test_the_recorder_of_these_tests_has_every_moment():
    assert all(hasattr(Recorder, moment) for moment in MOMENTS)
