"""The command line, called in this process."""

import pytest

from conductance import cli


@pytest.fixture
def call(capsys):
    """Run a command; returns its exit status, stdout and stderr."""

    def run(*arguments):
        try:
            cli.main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return run
