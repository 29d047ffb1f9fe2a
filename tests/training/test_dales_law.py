"""No conductance is ever negative."""

import pytest

from conductance.init import conductance_layers
from conductance.runs import load_run
from tiny_runs import run, tiny


@pytest.mark.parametrize("form", ["rectified", "softplus", "clamped"])
@pytest.mark.parametrize("family", ["cwa", "cwa_bn"])
def test_a_trained_network_keeps_it(family, form, out):
    large = {"optimizer__learning_rate": 0.5, "conductance__learn_resting": True}
    run(tiny(family, conductance__nonnegative=form, **large), out)
    layers = list(conductance_layers(load_run(out).network))
    assert len(layers) == 2
    for layer in layers:
        G = layer.conductance
        assert (G >= 0).all()
        assert (layer.leak() > 0).all()
        if form in ("rectified", "projected"):
            assert (G == 0).any()  # else nothing pushed against the bound
