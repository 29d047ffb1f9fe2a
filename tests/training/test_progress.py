"""What a person, or a file, is told while a run trains."""

import io

import pytest
from rich.console import Console

from conductance.training.progress import TrainingProgress
from tiny_runs import run, tiny


@pytest.mark.parametrize("width", [1, 20, 40, 80])
@pytest.mark.parametrize("validation", [0, 100])
def test_a_log_has_one_whole_line_for_each_epoch(width, validation, out):
    log = io.StringIO()
    run(tiny(data__validation_images=validation), out, console=Console(file=log, width=width))
    lines = log.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("epoch ") and line.endswith(" s") for line in lines)
    assert all(("validation" in line) == bool(validation) for line in lines)
    assert "\x1b" not in log.getvalue()


def test_without_a_console_nothing_is_said(capsys):
    with TrainingProgress("quiet", 2, 0, None) as progress:
        progress.step()
        progress.show(1.0, 50.0)
    assert capsys.readouterr() == ("", "")
