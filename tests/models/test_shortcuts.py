"""Shortcuts that join inside the average, and branches with a learnt weight."""

import pytest
import torch

from conductance import init
from conductance.analysis import observe
from conductance.errors import InputError
from conductance.models import FAMILIES, create_model
from conductance.models.resnet import ResidualBlock
from conductance.nn import CWAConv2d, GapJunction
from conductance.nn.shortcut import mean_with_shortcut
from conductance.transform import freeze

AVERAGING = [family for family in FAMILIES.values() if family.averages]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_shortcut_of_conductances_is_one_average(stride):
    """E' and I' of branch and shortcut add up; the identity is a gap junction."""
    block = ResidualBlock(FAMILIES["cwa"], 4, 4, stride, "conductance").double()
    init.lognormal_(block)
    p = torch.rand(2, 4, 6, 6, dtype=torch.float64)
    E, I = block.second.excitation_inhibition(block.first(p))
    if stride == 1:
        c = block.shortcut.conductance.view(-1, 1, 1)
        z = (E - I + c * p) / (E + I + c)
    else:
        further_E, further_I = block.shortcut.excitation_inhibition(p)
        z = (E + further_E - I - further_I) / (E + further_E + I + further_I)
    torch.testing.assert_close(block(p), z.relu())


def test_a_gap_junction_as_large_as_all_else_is_the_mean():
    layer = CWAConv2d(4, 4, 3, padding=1, activation=None, dtype=torch.float64)
    p = torch.rand(1, 4, 1, 1, dtype=torch.float64)
    E, I = layer.excitation_inhibition(p)
    junction = GapJunction(4, 1.0, dtype=torch.float64)
    with torch.no_grad():
        junction.log_conductance.copy_((E + I).flatten().log())
    torch.testing.assert_close(layer(p, junction(p)), (layer(p) + p) / 2)


def test_a_gap_junction_is_two_non_negative_conductances():
    both = GapJunction(3, 2.0)(torch.rand(2, 3, 4, 4))
    assert both.shape == (2, 6, 4, 4)
    assert bool((both >= 0).all())
    torch.testing.assert_close(both[:, :3] + both[:, 3:], torch.full((2, 3, 4, 4), 2.0))
    with pytest.raises(InputError, match="conductance=0"):
        GapJunction(3, 0)


@pytest.mark.parametrize("family", AVERAGING, ids=lambda family: family.name)
def test_networks_of_them_learn_stay_in_range_and_freeze(family):
    torch.manual_seed(0)
    model = create_model("resnet18", family.name, (1, 9, 9), 3, widths=(6, 8), shortcut="conductance")
    images = torch.rand(8, 1, 9, 9)
    init.initialize(model, images)
    seen = []
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            module.register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    model(images).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(float(p.min()) >= 0 and float(p.max()) <= 1 for p in seen)
    torch.testing.assert_close(freeze(model)(images), model.eval()(images))


def test_branch_and_shortcut_start_with_about_the_same_weight():
    torch.manual_seed(0)
    model = create_model("resnet18", "cwa", (3, 16, 16), 10, widths=(32, 64), shortcut="conductance")
    images = torch.rand(16, 3, 16, 16)
    init.initialize(model, images)
    totals = {seen.layer: seen.excitation + seen.inhibition for seen in observe(model, images)}
    blocks = [block for block in model.modules() if isinstance(block, ResidualBlock)]
    joined = [block for block in blocks if isinstance(block.shortcut, GapJunction)]
    weights = [float((b.shortcut.conductance.detach().view(-1, 1, 1) / totals[b.second]).mean()) for b in joined]
    assert len(weights) == 3
    assert all(0.25 < weight < 4 for weight in weights), weights


@pytest.mark.parametrize("family", [family.name for family in FAMILIES.values() if not family.averages])
def test_units_that_do_not_average_cannot_take_conductances(family):
    with pytest.raises(InputError, match=f"family {family} do not average"):
        create_model("resnet18", family, (1, 9, 9), 3, widths=(6, 8), shortcut="conductance")


def test_a_branch_that_starts_at_0_is_not_there_yet():
    p = torch.rand(2, 4, 5, 5)
    for join in ("sum", "mean"):
        block = ResidualBlock(FAMILIES["cwa"], 4, 4, 1, join, branch_scale=0.0)
        torch.testing.assert_close(block(p), p)
        block(p).sum().backward()
        assert float(block.branch_scale.grad.abs()) > 0
    half = ResidualBlock(FAMILIES["cwa"], 4, 4, 1, "mean", branch_scale=0.5)
    plain = ResidualBlock(FAMILIES["cwa"], 4, 4, 1, "mean")
    plain.load_state_dict(half.state_dict(), strict=False)
    torch.testing.assert_close(half(p), plain(p))


@pytest.mark.parametrize("options", [
    {"shortcut": "conductance", "branch_scale": 0.5}, {"branch_scale": -0.1}, {"branch_scale": 1.5},
])  # fmt: skip
def test_a_branch_scale_that_makes_no_sense_is_refused(options):
    with pytest.raises(InputError, match="branch_scale"):
        create_model("resnet18", "cwa", (1, 9, 9), 3, widths=(6, 8), **options)


@pytest.mark.parametrize("family", AVERAGING, ids=lambda family: family.name)
@pytest.mark.parametrize("frozen", [False, True])
def test_whoever_looks_at_a_layer_sees_its_potential_and_changes_nothing(family, frozen):
    """A mean shortcut joins in the layer's own pass; by a hook the layer gives z all the same."""
    torch.manual_seed(0)
    block = ResidualBlock(FAMILIES[family.name], 4, 4, 1, "mean").double().eval()
    if frozen:
        block = freeze(block)
    assert block.second.takes_shortcut
    p = torch.rand(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    alone, potentials = block(p), []
    handle = block.second.register_forward_hook(lambda _, __, out: potentials.append(out))
    watched = block(p)
    handle.remove()
    torch.testing.assert_close(watched, ((potentials[0] + p) / 2).relu())
    torch.testing.assert_close(alone, watched)
    torch.testing.assert_close(*(torch.autograd.grad(each.square().sum(), p)[0] for each in (alone, watched)))


def test_layers_of_more_than_one_average_take_no_shortcut():
    class Doubled(CWAConv2d):
        def respond(self, conductances, p):
            return 2 * super().respond(conductances, p)

    potentials = {"activation": None, "padding": 1}
    others = [
        CWAConv2d(4, 4, 3, padding=1),
        CWAConv2d(4, 4, 3, pooled_interneuron=True, **potentials),
        CWAConv2d(4, 4, 3, detached_denominator=True, **potentials),
        Doubled(4, 4, 3, **potentials),
    ]
    p = torch.rand(2, 4, 5, 5)
    for layer in others:
        assert not layer.takes_shortcut
        torch.testing.assert_close(mean_with_shortcut(layer, p, lambda: p), ((layer(p) + p) / 2).relu())
