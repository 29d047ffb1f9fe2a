"""A loss that is no longer a number stops the run, and says where."""

import pytest

from conductance.runs import RunFolder
from conductance.training import NonFiniteLossError
from conductance.training.tally import Tally
from tiny_runs import STEPS, lines, run, tiny, weights

REMEDY = r"A smaller --optimizer\.learning-rate .*--optimizer\.readout-learning-rate .*may help"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_last_good_epoch_is_kept_and_can_be_resumed(bad, out, tmp_path, monkeypatch):
    config, add, added = tiny(epochs=3), Tally.add, []

    def spoilt(tally, loss, *rest):
        added.append(loss.requires_grad)  # as it does in training, not in evaluation
        add(tally, loss * bad if added[-1] and sum(added) == STEPS + 5 else loss, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Tally, "add", spoilt)
        with pytest.raises(NonFiniteLossError, match=f"{out}: the loss is {bad} at step 5 of epoch 2") as raised:
            run(config, out)
    assert "the checkpoint of epoch 1 is kept" in str(raised.value)
    assert len(RunFolder(out).read_checkpoint()["metrics"]) == len(lines(out)) == 1
    run(config, out, resume=True)
    run(config, tmp_path / "undisturbed")
    assert (lines(out), weights(out)) == (lines(tmp_path / "undisturbed"), weights(tmp_path / "undisturbed"))


def test_a_step_far_too_large(out):
    config = tiny("affine", optimizer__readout_learning_rate=1e30, optimizer__learning_rate=1e30)
    with pytest.raises(NonFiniteLossError, match=f"at step 2 of epoch 1 .*no epoch was finished.* {REMEDY}"):
        run(config, out)
    assert {path.name for path in out.iterdir()} == {".lock", "config.json", "failure.json"}


@pytest.mark.parametrize(
    ("family", "step"),
    [
        ("affine", {"optimizer__readout_learning_rate": 1e30, "optimizer__learning_rate": 1e30}),
        ("cwa", {"optimizer__learning_rate": 1e38}),
    ],
)
def test_weights_spoilt_by_the_last_step_of_an_epoch_are_not_kept(family, step, out):
    config = tiny(family, data__batch_size=1297, epochs=1, **step)
    with pytest.raises(NonFiniteLossError, match="at step 1 of epoch 1"):
        run(config, out)
    assert not (out / "checkpoint.pt").exists()
    assert not RunFolder(out).finished


def test_weights_that_are_no_longer_finite_are_named(out):
    with pytest.raises(NonFiniteLossError, match=r"epoch 1 \(hidden\.0\.0\.weight holds values that are not finite\)"):
        run(tiny("affine", optimizer__readout_learning_rate=1e30, optimizer__learning_rate=1e30), out)
