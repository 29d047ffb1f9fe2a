"""What tests of the kernels share."""

import pytest

from conductance import kernels


@pytest.fixture
def any_average():
    """Restores the choice of the process."""
    yield
    kernels.use_average(None)
