"""What an error advises works: each remedy is tried."""

import json
import re
import shutil

import pytest

from conductance.errors import ConductanceError, RunError
from conductance.report import summarize
from conductance.runs import Run, RunFolder, load_run, load_runs
from conductance.training import NonFiniteLossError
from conductance.training.tally import Tally
from tiny_runs import STEPS, lines, run, tiny, weights

DIVERGES = {"optimizer__readout_learning_rate": 1e30, "optimizer__learning_rate": 1e30}


@pytest.mark.parametrize("resume", [False, True])
def test_after_a_loss_that_is_nan_in_the_first_epoch_a_smaller_step_takes_the_folder(resume, out, tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"no epoch was finished.*A smaller"):
        run(tiny("affine", **DIVERGES), out)
    run(tiny("affine"), out, resume=resume)
    run(tiny("affine"), tmp_path / "elsewhere")
    assert (lines(out), weights(out)) == (lines(tmp_path / "elsewhere"), weights(tmp_path / "elsewhere"))


@pytest.mark.parametrize("resume", [False, True])
def test_after_a_crash_in_the_first_epoch_the_folder_is_free(resume, interrupted):
    folder = interrupted(tiny(seed=1), epoch=1)
    run(tiny(seed=2), folder, resume=resume)
    assert Run(folder).config.seed == 2


def test_a_folder_with_an_epoch_is_not_taken(interrupted):
    folder = interrupted(tiny(seed=1), epoch=2)
    for resume in (False, True):
        with pytest.raises(RunError, match=r"already holds a run|holds another run"):
            run(tiny(seed=2), folder, resume=resume)
    assert len(lines(folder)) == 1


@pytest.mark.parametrize("stranger", ["notes.txt", "pytorch_model.bin"])
def test_a_folder_with_files_of_others_is_not_taken(stranger, out):
    with pytest.raises(NonFiniteLossError):
        run(tiny("affine", **DIVERGES), out)
    (out / stranger).write_text("mine")
    with pytest.raises(RunError, match="already holds a run"):
        run(tiny("affine"), out)


def test_a_config_that_is_of_no_run_is_not_written_over(out):
    """A folder of transformers has one of this name too."""
    out.mkdir()
    (out / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(RunError, match="lacks 'name'"):
        run(tiny(), out)
    assert json.loads((out / "config.json").read_text()) == {"model_type": "bert"}


def advised_deletion(error, kept_in):
    """Delete what the error says."""
    [path] = re.findall(r"delete (\S+) to start", str(error.value))
    assert path.startswith(str(kept_in))
    (kept_in / path.rpartition("/")[2]).unlink()


@pytest.mark.parametrize("contents", [b"", b"damaged"])
def test_after_a_damaged_checkpoint_is_deleted_the_run_starts_again(contents, interrupted, tmp_path):
    folder = interrupted(tiny(), epoch=2)
    (folder / "checkpoint.pt").write_bytes(contents)
    with pytest.raises(RunError) as raised:
        run(tiny(), folder, resume=True)
    advised_deletion(raised, folder)
    run(tiny(), folder, resume=True)
    run(tiny(), tmp_path / "whole")
    assert (lines(folder), weights(folder)) == (lines(tmp_path / "whole"), weights(tmp_path / "whole"))


def test_after_damaged_predictions_are_deleted_the_run_is_compared_by_its_accuracy(finished, tmp_path):
    folder = shutil.copytree(finished / "cwa", tmp_path / "a")
    file = folder / "predictions.npz"
    file.write_bytes(b"PK damaged")
    with pytest.raises(RunError, match=f"{file} is damaged.*; delete it"):
        _ = Run(folder).predictions
    file.unlink()
    assert Run(folder).predictions is None
    assert summarize([Run(folder)])


@pytest.mark.parametrize(
    "name", ["config.json", "summary.json", "metrics.jsonl", "internals.json", "model.safetensors"]
)
def test_after_a_damaged_run_is_deleted_it_is_repeated_or_left_out(name, finished, tmp_path):
    whole, damaged = (shutil.copytree(finished / "cwa", tmp_path / folder) for folder in ("whole", "damaged"))
    (damaged / name).write_bytes(b"\xff")
    with pytest.raises(ConductanceError, match="delete the folder and repeat that run"):
        _everything(damaged)
    shutil.rmtree(damaged)
    assert len(load_runs([tmp_path])) == 1
    run(Run(whole).config, damaged)
    _everything(damaged)


def _everything(folder):
    loaded = load_run(folder)
    _ = loaded.summary, loaded.epochs, loaded.internals


def test_after_a_later_epoch_diverged_another_folder_takes_another_step(out, tmp_path, monkeypatch):
    add, added = Tally.add, []

    def spoilt(tally, loss, *rest):
        added.append(loss.requires_grad)
        add(tally, loss * float("nan") if added[-1] and sum(added) == STEPS + 5 else loss, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Tally, "add", spoilt)
        with pytest.raises(NonFiniteLossError, match="the checkpoint of epoch 1 is kept"):
            run(tiny(), out)
    smaller = tiny(optimizer__learning_rate=0.01)
    with pytest.raises(RunError, match=r"optimizer\.learning_rate is 0\.1 there, 0\.01 here.*choose another --out"):
        run(smaller, out, resume=True)
    run(smaller, tmp_path / "another")
    assert RunFolder(tmp_path / "another").finished
