"""What is given by mistake to whatever looks at a network gets one line, and nothing of torch's or Python's own."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import conductance
from conductance.analysis import observe, plots
from conductance.errors import InputError
from conductance.nn import CWALinear, assign_valences

LOOKS = {
    "check": conductance.check,
    "summary": conductance.summary,
    "observe": observe,
    "assign_valences": assign_valences,
    "convert": conductance.convert,
}
MODEL = nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), CWALinear(5, 4), nn.Linear(4, 2))


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize(
    ("model", "batch", "said"),
    [
        ("network", torch.rand(2, 6), "the model is a str, which is no network; give an nn.Module"),
        (SimpleNamespace(model=MODEL), torch.rand(2, 6), "give its .model"),
        (SimpleNamespace(network_=MODEL), torch.rand(2, 6), "give its .network_"),
        (MODEL, torch.rand(0, 6), "of shape (0, 6), holds no samples"),
        (MODEL, torch.rand(2, 7), "Sequential cannot take the"),
        (MODEL, torch.ones(2, 6, dtype=torch.long), "Sequential cannot take the"),
    ],
)
def test_a_mistake_is_answered_in_one_line(look, model, batch, said):
    with pytest.raises(InputError) as refused:
        look(model, batch)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_only_networks_are_saved(tmp_path):
    with pytest.raises(InputError, match=r"give its \.model"):
        conductance.save(SimpleNamespace(model=MODEL), tmp_path / "saved")
    conductance.save(nn.Sequential(CWALinear(3, 2)), tmp_path / "saved")
    with pytest.raises(InputError, match="is a str, which is no network"):
        conductance.load(tmp_path / "saved", into="network")


def test_figures_say_what_they_are_made_of():
    for draw in (plots.plot_conductances, plots.plot_balance, plots.plot_singular_values):
        with pytest.raises(InputError, match=r"give conductance\.check"):
            draw(MODEL)
    with pytest.raises(InputError, match="the layer is a Linear"):
        plots.plot_receptive_fields(MODEL[0])


@pytest.mark.parametrize("layers", [1, 3, 5, 6, 11])
def test_figures_of_deep_networks_fit_a_page(layers):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = nn.Sequential(*(CWALinear(4, 4) for _ in range(layers)))
    report = conductance.check(model, torch.rand(8, 4))
    axes = plots.plot_conductances(report)
    assert [ax.get_title() for ax in axes] == [str(place) for place in range(layers)]
    assert axes[0].figure.get_size_inches()[0] <= 13
    assert len(axes[0].figure.axes) == layers
    lines = plots.plot_singular_values(report).get_lines()
    assert len({line.get_color() for line in lines}) == layers  # no two layers look the same
    pyplot.close("all")
