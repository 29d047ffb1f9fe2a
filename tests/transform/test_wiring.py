"""`freeze` follows the data: whatever reads what, the outputs stay, and what can be folded is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_networks import WIDTH, build, draw_statistics, steps
from torch import nn
from torch.nn import functional as F

from conductance.nn import CWALinear
from conductance.transform import FrozenAverage, freeze


@given(steps(), st.booleans(), st.integers(1, 4), st.integers(0, 1000))
def test_a_frozen_network_gives_the_outputs_of_the_network(what, images, returned, seed):
    torch.manual_seed(seed)
    network = build(what, images, returned)
    x = torch.rand(2, WIDTH, 3, 3).double() if images else torch.rand(2, WIDTH).double()
    frozen = freeze(network.train())
    network.eval()
    for skip, flag in [(None, False), (x, False), (None, True)]:
        torch.testing.assert_close(frozen(x, skip, flag), network(x, skip, flag), rtol=1e-9, atol=1e-9)


class Parts(nn.Module):
    """What the networks below are made of."""

    def __init__(self):
        super().__init__()
        self.average, self.norm, self.relu = CWALinear(4, 4, activation=None), nn.BatchNorm1d(4), nn.ReLU()
        self.affine, self.affine_norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.chain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.unregistered, self.log = [self.affine, self.affine_norm], []


def network(forward):
    """A network of these parts."""
    return draw_statistics(type("Network", (Parts,), {"forward": forward})())


def one_after_the_other(self, x):
    return self.chain(self.affine_norm(self.affine(self.relu(self.norm(self.average(x))))))


def by_keyword(self, x):
    return self.affine_norm(input=self.affine(input=x))


def of_a_slice(self, x):
    return self.chain[1:](self.chain[:1](x))


def of_two_inputs(self, x):
    a, b = x
    return self.norm(self.average(a)) + self.affine_norm(self.affine(b))


def of_a_dictionary(self, x):
    return self.norm(self.average(x["a"])) + self.affine_norm(self.affine(x["b"]))


def by_sizes(self, x):
    return self.norm(self.average(x)).view(-1, self.average.out_features, 1)


def under_a_flag(self, x, skip=None, plain=False):
    y = self.norm(self.average(x)) + (0 if skip is None else skip)
    return y if plain else self.affine_norm(self.affine(y))


@pytest.mark.parametrize(("forward", "folded"), [
    (one_after_the_other, {"norm", "relu", "affine_norm", "chain.1"}),
    (by_keyword, {"affine_norm"}),
    (of_a_slice, {"chain.1"}),
    (of_two_inputs, {"norm", "affine_norm"}),
    (of_a_dictionary, {"norm", "affine_norm"}),
    (by_sizes, {"norm"}),
    (under_a_flag, {"norm", "affine_norm"}),
])  # fmt: skip
def test_sole_readers_are_folded(forward, folded):
    model, x = network(forward), torch.rand(5, 4).double()
    inputs = {of_two_inputs: (x, 1 - x), of_a_dictionary: {"a": x, "b": 1 - x}}.get(forward, x)
    frozen = freeze(model)
    torch.testing.assert_close(frozen(inputs), model(inputs))
    assert {name for name, part in frozen.named_modules() if isinstance(part, nn.Identity)} == folded
    assert isinstance(frozen.average, FrozenAverage)


def read_twice(self, x):
    z = self.average(x)
    return self.norm(z) + z


def called_twice(self, x):
    return self.norm(self.average(self.norm(self.average(x)).sigmoid()))


def returned_too(self, x):
    z = self.affine(x)
    return torch.cat([z, self.affine_norm(z)], 1)


def changed_in_place(self, x):
    return self.norm(self.average(x).mul_(0.5))


def stored(self, x):
    self.z = self.average(x)
    return self.norm(self.z)


def remembered(self, x):
    self.log.append(self.affine(x))
    y = self.affine_norm(self.log[-1])
    return y + self.log.pop()


def left_in_a_list(self, x):
    self.log.append(self.affine(x))
    return self.affine_norm(self.log[-1])


def left_out_if_given_nothing(self, x, skip=None):
    z = self.affine(x)
    return z if skip is None else self.affine_norm(z) + skip


def left_out_by_value(self, x):
    z = self.affine(x)
    return self.affine_norm(z) if x.sum() > 1e3 else z


def left_out_for_tensors(self, x):
    z = self.affine(x)
    return z if isinstance(z, torch.Tensor) else self.affine_norm(z)


def collected_by_class(self, x):
    seen = []
    for part in self.chain:
        x = part(x)
        if isinstance(part, (nn.BatchNorm1d, nn.ReLU)):
            seen.append(x)
    return torch.cat(seen, 1)


def collected_by_class_and_value(self, x):
    seen = []
    for part in (self.average, self.relu):
        x = part(x) if x.sum() < 1e3 else x
        if isinstance(part, CWALinear):
            seen.append(x)
    return torch.cat(seen, 1)


def indexed(self, x):
    return self.chain[0](x) + self.chain(x)


def weight_read(self, x):
    return self.affine_norm(self.affine(x)) + F.linear(x, self.affine.weight)


def weights_counted(self, x):
    return self.affine_norm(self.affine(x)) * sum(float(each.detach().abs().sum()) for each in self.affine.parameters())


def conductance_read(self, x):
    return self.norm(self.average(x)) * self.average.conductance.sum()


def unregistered_parts(self, x):
    first, second = self.unregistered
    return second(first(x))


def past_the_call(self, x):
    return self.relu(self.average(x)) + self.relu.forward(x - 0.5)


def conductances_alone(self, x):
    E, I = self.average.excitation_inhibition(x)
    return self.average(x) + E / I


def any_arguments(self, *x):
    return self.affine_norm(self.affine(x[0])) if len(x) > 1 else self.affine(x[0])


def any_keywords(self, x, **others):
    return self.affine_norm(self.affine(x)) if others.get("normed") else self.affine(x)


@pytest.mark.parametrize("forward", [
    read_twice, called_twice, returned_too, changed_in_place, stored, remembered, left_in_a_list,
    left_out_if_given_nothing, left_out_by_value, left_out_for_tensors, collected_by_class,
    collected_by_class_and_value, indexed, weight_read, weights_counted, conductance_read, unregistered_parts,
    past_the_call, conductances_alone, any_arguments, any_keywords,
])  # fmt: skip
def test_what_is_read_otherwise_stays(forward):
    model, x = network(forward), torch.rand(5, 4).double()
    frozen = freeze(model)
    torch.testing.assert_close(frozen(x), model(x))
    assert not any(isinstance(part, nn.Identity) for part in frozen.modules())
    if forward is stored:
        torch.testing.assert_close(frozen.z, model.z)
    if forward is left_in_a_list:
        torch.testing.assert_close(frozen.log, model.log)


def test_a_part_that_runs_hooks_stays_with_all_in_it():
    model, x = network(one_after_the_other), torch.rand(5, 4).double()
    model.chain.register_forward_hook(lambda module, inputs, output: output + module[0](inputs[0]))
    frozen = freeze(model)
    torch.testing.assert_close(frozen(x), model(x))
    assert isinstance(frozen.chain[1], nn.BatchNorm1d)
    assert isinstance(frozen.norm, nn.Identity)


def test_parts_of_torchs_own_layers_stay():
    encoder = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    model = nn.Sequential(encoder, nn.Linear(4, 4), nn.LayerNorm(4)).eval()
    x = torch.rand(2, 3, 4)
    torch.testing.assert_close(freeze(model)(x), model(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_network_is_folded_too():
    model, x = network(one_after_the_other), torch.rand(5, 4).double()
    frozen = freeze(torch.compile(model, backend="eager"))
    torch.testing.assert_close(frozen(x), model(x))
    assert isinstance(frozen._orig_mod.norm, nn.Identity)


def test_the_network_keeps_nothing_of_being_traced():
    model = network(left_in_a_list)
    freeze(model)
    assert model.log == []
    assert set(vars(model)) == set(vars(network(left_in_a_list)))


def test_weights_that_two_layers_share_are_not_changed():
    model, x = network(one_after_the_other), torch.rand(5, 4).double()
    model.chain[0].weight = model.affine.weight
    torch.testing.assert_close(freeze(model)(x), model(x))
