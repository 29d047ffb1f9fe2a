"""A search killed at any moment: the next one ends with as many trials as were asked for, each counted once."""

import json
import random
import sys
from collections import Counter

import pytest

from children import Child, leftovers
from conductance.tuning.study import FOLDER

optuna = pytest.importorskip("optuna", reason="needs the extra tune")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

TRIALS = 3
SMALL = ["--epochs", "2", "--model.widths", "8", "--data.batch-size", "100", "--device", "cpu"]
TUNE = ["tune", "digits-fcn-cwa", "--trials", TRIALS, *SMALL, "--out", "out"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_search_killed_again_and_again_ends_with_each_trial_counted_once(seed, tmp_path):
    draws, kills = random.Random(seed), 0
    while kills < 3 and Child(TUNE, tmp_path).killed_after(draws.uniform(0.5, 3.0)):
        kills += 1
    assert Child(TUNE, tmp_path).answer() == (0, "")
    out = tmp_path / "out"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out / "study.log")))
    trials = optuna.load_study(study_name="digits-fcn-cwa", storage=storage).get_trials()
    states = Counter(trial.state.name for trial in trials)
    assert states == Counter(COMPLETE=TRIALS, **({"FAIL": states["FAIL"]} if states["FAIL"] else {}))
    done = {trial.user_attrs[FOLDER]: trial for trial in trials if trial.state.name == "COMPLETE"}
    assert set(done) == {path.parent.name for path in out.glob("*/summary.json")}
    assert len(done) == TRIALS
    for folder, trial in done.items():
        optimizer = json.loads((out / folder / "config.json").read_text())["optimizer"]
        assert trial.params == {name: optimizer[name.removeprefix("optimizer.")] for name in trial.params}
    assert f"{TRIALS} trials of 2 epochs" in (out / "tuning.html").read_text()
    assert not leftovers(out)
