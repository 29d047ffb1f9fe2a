"""`check`, `summary` and their figures: what they report is what is there."""

import json
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import conductance
from conductance import cli
from conductance.analysis import plots
from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear, LateralLinear, ScaledInput, assign_valences
from conductance.training import train
from tiny_runs import tiny


def network():
    return nn.Sequential(
        CWAConv2d(1, 6, 3, doubled_input=True), nn.Flatten(), CWALinear(6 * 16, 8), nn.Linear(8, 3)
    )  # fmt: skip


BATCH = torch.rand(12, 1, 6, 6)


def test_what_is_right_is_ok():
    report = conductance.check(network(), BATCH)
    assert report.ok
    assert report.strict_dale
    assert [layer.name for layer in report.layers] == ["0", "2"]
    assert str(report).endswith("ok")
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["ok"]
    assert plain["layers"][0]["units"] == 6


def test_without_a_batch_only_the_conductances_are_looked_at():
    report = conductance.check(network())
    assert report.ok
    assert report.strict_dale is None
    assert report.layers[0].input is None
    json.dumps(report.to_dict())


@settings(max_examples=25, deadline=None)
@given(units=st.integers(1, 9), inputs=st.integers(2, 9), rows=st.integers(1, 7), seed=st.integers(0, 99))
def test_the_numbers_are_the_equations(units, inputs, rows, seed):
    torch.manual_seed(seed)
    layer = CWALinear(inputs, units, activation=None).double().requires_grad_(False)
    p = torch.rand(rows, inputs).double()
    [found] = conductance.check(layer, p).layers
    E, I = layer.excitation_inhibition(p)
    z = layer(p).detach()
    torch.testing.assert_close(torch.tensor(found.balance), (E.mean(0) / I.mean(0)).detach().float())
    assert found.leak_share == pytest.approx(float((layer.resting_conductance / (E + I)).mean()))
    assert found.output == pytest.approx((float(z.min()), float(z.max())))
    assert found.saturated == pytest.approx(float((z.abs() > 0.99).all(0).double().mean()))
    singular = torch.linalg.svdvals(z)
    torch.testing.assert_close(torch.tensor(found.singular_values).double(), singular)
    shares = singular / singular.sum()
    assert found.effective_rank == pytest.approx(math.exp(float(torch.special.entr(shares).sum())))
    assert 1 - 1e-6 <= found.effective_rank <= min(rows, units) + 1e-6
    assert sum(map(sum, found.histograms.values())) == found.synapses == units * inputs


def broken(kind):
    """A network with one fault, and a batch that shows it."""
    model, batch = network(), BATCH
    if kind == "values above 1":
        batch = 3 * BATCH
    elif kind == "negative values":
        batch = BATCH - 0.5
    elif kind == "NaN in the data":
        batch = BATCH * float("nan")
    elif kind == "infinite conductance":
        model[2].g.data[0, 0] = float("inf")
    elif kind == "NaN in a conductance":
        model[0].g.data[0, 0] = float("nan")
    elif kind == "all units dead":
        model[2].set_conductance(model[2].conductance * (model[2].presynaptic.per_synapse(model[2].g) < 0))
    elif kind == "readers that disagree":
        model[2].set_valence(-model[2].presynaptic.values)
    return model, batch


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("values above 1", "layer 0 .* was given values .* but open probabilities lie in"),
        ("negative values", "layer 0 .* was given"),
        ("NaN in the data", "layer 0 .* was given NaN"),
        ("infinite conductance", "layer 2 .* conductance"),
        ("NaN in a conductance", "layer 0 .* conductance"),
        ("all units dead", "layer 2 .* 8 of 8 units dead"),
        ("readers that disagree", "layer 2 reads 96 of 96 channels as something else"),
    ],
)
def test_every_fault_is_a_problem_that_names_the_layer(kind, said):
    report = conductance.check(*broken(kind))
    assert not report.ok
    assert any(re.search(said, problem) for problem in report.problems), report.problems
    assert str(report).endswith("not ok")
    json.dumps(report.to_dict())


@pytest.mark.parametrize("kind", ["infinite conductance", "NaN in a conductance"])
def test_bad_conductances_are_found_without_a_batch(kind):
    assert not conductance.check(broken(kind)[0]).ok


def test_silent_units_are_those_that_nothing_reaches():
    layer = CWALinear(4, 3, valence=[1.0, -1, 1, -1])
    G = layer.conductance.detach().clone()
    G[1] = 0
    layer.set_conductance(G)
    [found] = conductance.check(layer, torch.rand(5, 4)).layers
    assert found.silent == pytest.approx(1 / 3)


def test_strict_dale_is_told_from_reading_units_twice():
    model = nn.Sequential(CWALinear(3, 4, doubled_input=True), CWALinear(4, 4, doubled_input=True), nn.Linear(4, 2))
    report = conductance.check(model, torch.rand(5, 3))
    assert report.ok
    assert report.strict_dale is False
    assert report.not_strict == ["1"]
    assert "strict Dale's law: no: 1" in str(report)


def test_a_layer_that_does_not_run_has_conductances_alone():
    model = network()
    model.add_module("unused", CWALinear(4, 4))
    model.forward = lambda x: nn.Sequential(*list(model)[:4])(x)
    report = conductance.check(model, BATCH)
    assert report.ok
    assert report.layers[-1].name == "unused"
    assert report.layers[-1].input is None
    model.unused.g.data[0] = float("nan")
    assert not conductance.check(model, BATCH).ok


def test_layers_that_run_several_times_and_interneurons_count():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.again = LateralLinear(3, 4, doubled_input=True), CWALinear(4, 4)

        def forward(self, x):
            x = self.first(x)
            for _ in range(3):
                x = self.again(x)
            return x

    model = Loop()
    assign_valences(model, torch.rand(2, 3))
    report = conductance.check(model, torch.rand(6, 3))
    assert report.ok, report.problems
    assert [layer.input is not None for layer in report.layers if layer.name in ("first", "again")] == [True, True]


def test_a_model_is_left_as_it_was():
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    conductance.check(model, BATCH)
    conductance.summary(model, BATCH)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize("look", [conductance.check, conductance.summary])
def test_models_and_batches_that_do_not_fit_are_answered_in_one_line(look):
    with pytest.raises(InputError, match="no l"):
        look(nn.Sequential(nn.ReLU()), torch.rand(2, 3))
    with pytest.raises(InputError):
        look(network(), (BATCH, BATCH))


# Sizes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [nn.Conv2d, CWAConv2d])
def test_multiply_adds_are_those_of_the_products(layer):
    model = nn.Sequential(layer(4, 6, 3, stride=2, groups=2, bias=False), nn.Flatten(), nn.Linear(54, 5, bias=False))
    size = conductance.summary(model, torch.rand(7, 4, 7, 7))
    assert [each.multiply_adds for each in size.layers] == [6 * 3 * 3 * 2 * 9, 54 * 5]
    assert [each.synapses for each in size.layers] == [6 * 2 * 9, 54 * 5]
    assert [each.output for each in size.layers] == [(6, 3, 3), (5,)]
    assert size.parameters == size.synapses == 6 * 2 * 9 + 54 * 5
    assert "multiply-adds" in str(size)
    assert json.loads(json.dumps(size.to_dict()))["multiply_adds"] == size.multiply_adds


def test_graded_valences_and_transposed_convolutions_cost_what_they_do():
    graded = CWALinear(12, 4, valence=torch.linspace(-1, 1, 12))
    assert conductance.summary(graded, torch.rand(3, 12)).multiply_adds == 2 * 48
    up = nn.ConvTranspose2d(3, 5, 2, stride=2, bias=False)
    assert conductance.summary(up, torch.rand(2, 3, 4, 4)).multiply_adds == 3 * 16 * 5 * 4


# Figures --------------------------------------------------------------------------------------------------------------


def test_figures_show_the_reports_numbers():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = network()
    report = conductance.check(model, BATCH)
    axes = plots.plot_conductances(report)
    assert [ax.get_title() for ax in axes] == ["0", "2"]
    drawn = [patch.get_data().values.tolist() for patch in axes[1].patches]
    assert drawn == [report.layers[1].histograms["excitatory"], report.layers[1].histograms["inhibitory"]]
    ax = plots.plot_balance(report)
    assert ax.lines[0].get_ydata() == pytest.approx(report.layers[0].balance)
    ax = plots.plot_singular_values(report)
    assert len(ax.lines) == 2
    assert ax.lines[0].get_ydata()[0] == 1
    fields = plots.plot_receptive_fields(model[0], 4)
    assert fields.shape == (2, 4)
    for row, channel in enumerate((0, 1)):  # the excitatory copy, then the inhibitory one
        drawn = fields[row][2].images[0].get_array().data
        assert drawn.ravel() == pytest.approx(model[0].conductance[2, channel].detach().flatten().numpy())
    assert plots.plot_receptive_fields(CWALinear(12, 3, doubled_input=True), shape=(3, 4)).shape == (2, 3)
    figure, own = pyplot.subplots()
    assert plots.plot_balance(report, own) is own
    assert own.figure is figure
    pyplot.close("all")


def test_figures_say_what_they_lack():
    with pytest.raises(InputError, match="without a batch"):
        plots.plot_balance(conductance.check(network()))
    with pytest.raises(InputError, match="shape="):
        plots.plot_receptive_fields(CWALinear(12, 3))
    with pytest.raises(InputError, match="no such images"):
        plots.plot_receptive_fields(CWALinear(12, 3), shape=(5, 5))


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def status(capsys):
    """Run ``conductance check``; returns its exit status, stdout and stderr."""

    def run(*arguments):
        try:
            cli.main(["check", *map(str, arguments)])
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


def test_the_command_checks_files_of_weights(status, tmp_path):
    model = network()
    save_file(model.state_dict(), tmp_path / "good.safetensors")
    code, out, _ = status(tmp_path / "good.safetensors", "--out", tmp_path / "report.json")
    assert (code, out.splitlines()[-1]) == (0, "ok")
    assert json.loads((tmp_path / "report.json").read_text())["ok"]
    model[0].g.data[0] = float("nan")
    torch.save(model.state_dict(), tmp_path / "bad.pt")
    code, out, _ = status(tmp_path / "bad.pt")
    assert (code, out.splitlines()[-1]) == (1, "not ok")


def test_mistakes_have_another_status(status, tmp_path):
    (tmp_path / "note.pt").write_text("no weights")
    torch.save({"weight": torch.ones(2)}, tmp_path / "affine.pt")
    for file in ("note.pt", "affine.pt", "missing"):
        code, _, error = status(tmp_path / file)
        assert code == 2
        assert error.startswith("error: ")
        assert len(error.splitlines()) == 1


def test_the_command_checks_a_run(status, tmp_path):
    train(tiny(), tmp_path / "run", device="cpu")
    code, out, error = status(tmp_path / "run", "--images", 100)
    assert (code, out.splitlines()[-1]) == (0, "ok"), error
    assert "strict Dale's law" in out
    assert status(tmp_path / "run", "--images", 0)[0] == 2


@pytest.mark.parametrize("with_batch", [False, True])
def test_an_output_projection_that_attention_never_calls_is_a_problem(with_batch):
    block = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    block.linear1 = ScaledInput(CWALinear(8, 12))
    model = nn.Sequential(block)
    batch = torch.rand(3, 4, 8) if with_batch else None
    assert not [line for line in conductance.check(model, batch).problems if "out_proj" in line]
    block.self_attn.out_proj = CWALinear(8, 8)
    [problem] = conductance.check(model, batch).problems
    assert "layer 0.self_attn.out_proj averages" in problem
    assert "keep a torch.nn.Linear there" in problem
