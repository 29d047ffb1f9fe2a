"""Finished runs to look at, and runs that break off."""

import pytest

from conductance import cli
from conductance.training.progress import TrainingProgress
from tiny_runs import ARCHITECTURES, STEPS, at_step, run, tiny


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run of each family, of various architectures."""
    folder = tmp_path_factory.mktemp("finished")
    for family, architecture in ARCHITECTURES.items():
        run(tiny(family, architecture, seed=3, data__validation_images=97), folder / family, command="as typed")
    return folder


@pytest.fixture
def out(tmp_path):
    """Where a run may go; there is nothing yet."""
    return tmp_path / "run"


@pytest.fixture
def interrupted(out, monkeypatch):
    """Start a run that Ctrl-C stops in the middle of an epoch, counted from where it starts; gives its folder."""

    def start(config, epoch, **options):
        def interrupt():
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(TrainingProgress, "step", at_step(STEPS * (epoch - 1) + 5, interrupt))
            with pytest.raises(KeyboardInterrupt):
                run(config, out, **options)
        return out

    return start


@pytest.fixture
def call(capsys):
    """Run a command in this process; returns its exit status, stdout and stderr."""

    def run(*arguments):
        try:
            cli.main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return run
