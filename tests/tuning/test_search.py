"""Searches on the digits: shared, interrupted, pruned, gone on with."""

import errno
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from conductance.errors import ConductanceError, InputError
from conductance.runs import RunFolder
from conductance.training.progress import TrainingProgress
from conductance.tuning.page import write_page
from conductance.tuning.space import Choice
from conductance.tuning.study import ERROR, FOLDER, Search, counted, finished, left_behind, open_study
from conductance.tuning.trials import Pruning, work
from tiny_runs import at_step, lines, tiny

optuna = pytest.importorskip("optuna", reason="needs the extra tune")
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock  # noqa: E402

STEPS = 12  # batches of 100 in the 1,197 images that are left to train on
RATE = Choice("optimizer.learning_rate", 0.01, 1.0, log=True)


@pytest.fixture
def search(tmp_path):
    out = tmp_path / "out"
    config = tiny(epochs=2, data__validation_images=100)
    return Search(config, (RATE,), 3, out, str(out / "study.log"), "digits", device="cpu")


def done(search, **choices):
    return work(replace(search, **choices), Console(quiet=True))


def states(study):
    return Counter(trial.state.name for trial in study.get_trials())


def test_validation_images_decide_and_nothing_is_tried_twice(search):
    study = done(search)
    assert states(study) == {"COMPLETE": 3}
    for trial in study.get_trials():
        folder = search.out / trial.user_attrs[FOLDER]
        config = json.loads((folder / "config.json").read_text())
        assert config["optimizer"]["learning_rate"] == trial.params["optimizer.learning_rate"]
        assert trial.value == lines(folder)[-1]["validation_accuracy"]
        assert trial.intermediate_values == {line["epoch"]: line["validation_accuracy"] for line in lines(folder)}
    assert len({trial.params["optimizer.learning_rate"] for trial in study.get_trials()}) == 3
    best = finished(study)
    assert best[0].value == max(trial.value for trial in best)
    assert len(done(search).get_trials()) == 3
    assert states(done(search, trials=4)) == {"COMPLETE": 4}


def test_a_trial_whose_process_ended_goes_on_in_its_folder(search, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "step", at_step(STEPS + 5, stop))  # in the second epoch
        with pytest.raises(KeyboardInterrupt):
            done(search)
    study = open_study(search)
    assert states(study) == {"RUNNING": 1}
    [before] = lines(search.out / "trial0")
    study = done(search)
    assert states(study) == {"FAIL": 1, "COMPLETE": 3}
    assert len(counted(study)) == 3
    left, taken = study.get_trials()[:2]
    assert taken.params == left.params
    assert taken.user_attrs[FOLDER] == left.user_attrs[FOLDER] == "trial0"
    assert lines(search.out / "trial0")[0] == before
    assert len(taken.intermediate_values) == 2


def test_nobody_takes_over_a_trial_between_its_last_epoch_and_its_end(search, monkeypatch):
    tell, seen = optuna.Study.tell, []

    def look(study, *result, **state):
        seen.append(left_behind(open_study(search), search))
        return tell(study, *result, **state)

    monkeypatch.setattr(optuna.Study, "tell", look)
    done(search)
    assert seen == [[], [], []]


def test_nobody_takes_over_a_trial_that_ends_while_they_look(search, monkeypatch):
    mine, other = open_study(search), open_study(search)
    trial = mine.ask()

    def ends(_folder):
        mine.tell(trial, 50.0)
        return False

    monkeypatch.setattr(RunFolder, "busy", property(ends))
    assert left_behind(other, search) == []
    assert states(other) == {"COMPLETE": 1}


@pytest.mark.parametrize("number", range(1, 9))
def test_whichever_line_of_the_journal_is_the_last_the_trial_goes_on(number, search, monkeypatch):
    append = JournalFileBackend.append_logs
    for left in (6, number, number):  # lines that are written; the first process ends in its second epoch
        lines_left = iter(range(left))

        def stopping(backend, logs, lines_left=lines_left):
            if next(lines_left, None) is None:
                raise KeyboardInterrupt
            append(backend, logs)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(JournalFileBackend, "append_logs", stopping)
            done(search, trials=1)
    study = done(search, trials=1)
    [trial] = finished(study)
    assert len(counted(study)) == 1
    assert set(states(study)) <= {"COMPLETE", "FAIL"}
    assert [path.name for path in search.out.glob("trial*")] == [trial.user_attrs[FOLDER]]
    config = json.loads((search.out / trial.user_attrs[FOLDER] / "config.json").read_text())
    assert config["optimizer"]["learning_rate"] == trial.params["optimizer.learning_rate"]


def test_a_line_of_the_journal_that_was_torn_is_dropped(search):
    done(search, trials=1)
    journal = Path(search.storage)
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_')
    assert states(done(search, trials=2)) == {"COMPLETE": 2}
    assert states(done(search)) == {"COMPLETE": 3}
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize("number", range(8))
def test_a_journal_that_cannot_be_written_is_one_line_and_the_search_goes_on(number, search, monkeypatch):
    append, lines_left = JournalFileBackend.append_logs, iter(range(number))

    def full(backend, logs):
        if next(lines_left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(backend, logs)

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", full)
        with pytest.raises(ConductanceError, match=r"^cannot write .*study\.log \(No space left on device\); make"):
            done(search, trials=1)
    assert len(finished(done(search, trials=1))) == 1


def test_a_lock_that_a_killed_process_left_is_passed_at_a_relative_place_too(search, tmp_path, monkeypatch):
    def killed(_lock):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    search = replace(search, storage="out/study.log", trials=1)
    with monkeypatch.context() as patch:
        patch.setattr(JournalFileSymlinkLock, "release", killed)
        with pytest.raises(KeyboardInterrupt):
            open_study(search)
    assert (tmp_path / "out/study.log.lock").is_symlink()
    clock = itertools.count(0.0, 7.0)  # the 30 seconds after which a lock counts as left are soon over
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: next(clock))
        open_study(search)
    assert states(done(search)) == {"COMPLETE": 1}


def test_what_diverges_or_does_not_fit_is_told_and_the_search_goes_on(search):
    wild = Choice("optimizer.readout_learning_rate", values=(1e38, 1e37))
    study = done(search, choices=(wild,), trials=1)
    [trial] = study.get_trials()
    assert trial.state.name == "PRUNED"
    assert "the loss is" in trial.user_attrs[ERROR]


def test_what_is_behind_is_ended(tmp_path):
    class Behind:
        def __init__(self):
            self.reported = {}

        def report(self, value, epoch):
            self.reported[epoch] = value

        def should_prune(self):
            return len(self.reported) == 2

    from conductance.training import train

    behind = Behind()
    pruning = Pruning(behind)
    train(tiny(epochs=5, data__validation_images=100), tmp_path / "run", device="cpu", callbacks=[pruning])
    assert pruning.pruned
    assert [line["validation_accuracy"] for line in lines(tmp_path / "run")] == list(behind.reported.values())
    assert len(behind.reported) == 2


def test_a_study_of_other_settings_is_refused(search):
    done(search, trials=1)
    with pytest.raises(InputError, match=r"made otherwise \(config\.epochs is 2 there, 3 here\); name another with"):
        done(search, config=replace(search.config, epochs=3))
    with pytest.raises(InputError, match="search is"):
        done(search, choices=(replace(RATE, high=2.0),))
    with pytest.raises(InputError, match="trials=0: must be at least 1"):
        done(search, trials=0)
    assert states(done(search, study="another", out=search.out / "another", trials=1)) == {"COMPLETE": 1}


def test_a_database_serves_too_and_a_bad_place_is_one_line(search, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    assert states(done(search, storage=url, trials=1)) == {"COMPLETE": 1}
    with pytest.raises(ConductanceError, match="the storage moon://here cannot be used: ") as raised:
        done(search, storage="moon://here")
    assert "\n" not in str(raised.value)


def test_the_page_has_the_best_command_and_optunas_plots(search):
    study = done(search, trials=4)
    page = write_page(study, search).read_text()
    best = finished(study)[0]
    assert page.count("<svg") >= 3
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert page.count("<tr") == 1 + 4
    command = re.search(r"<pre[^>]*>(.*?)</pre>", page)[1]
    words = shlex.split(command)
    assert words[:3] == ["conductance", "train", "digits-fcn-cwa"]
    assert "--name=tiny" in words
    assert float(words[words.index("--optimizer.learning-rate") + 1]) == best.params["optimizer.learning_rate"]


def test_processes_share_a_storage(tmp_path):
    """Two processes that import torch and Optuna, and train: some 8 seconds."""
    options = ["--trials", "5", "--model.widths", "8", "--epochs", "1", "--data.batch-size", "100", "--device", "cpu"]
    command = [sys.executable, "-m", "conductance", "tune", "digits-fcn-cwa", *options, "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "129 training images are held out" in said[0]
    trials = [folder.name for folder in (tmp_path / "out").glob("trial*")]
    assert sorted(trials) == [f"trial{number}" for number in range(5)]
    assert "5 trials of 1 epochs" in (tmp_path / "out/tuning.html").read_text()


def test_jobs_share_a_search_and_say_what_each_trial_has_come_to(tmp_path, call, monkeypatch):
    """Two jobs, each a process that imports torch and Optuna, and trains: some 8 seconds."""
    pytest.importorskip("submitit", reason="needs the extra cluster")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    small = ["--trials", "3", "--model.widths", "8", "--epochs", "1", "--data.batch-size", "100", "--device", "cpu"]
    code, said, _ = call("tune", "digits-fcn-cwa", *small, "--cluster", "local", "--jobs", "2", "--out", tmp_path)
    assert code == 0
    assert len(re.findall(r"trial \d: validation accuracy \d+\.\d\d %", said)) == 3
    assert (tmp_path / "tuning.html").exists()


def test_without_optuna_it_says_what_to_install(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConductanceError, match=r"optuna is needed to tune .*conductance\[tune\]"):
        done(search)
