"""torch.fx records a layer as one call."""

import pytest
import torch
from torch import fx, nn

from conductance.errors import InputError
from conductance.models import ARCHITECTURES, FAMILIES, create_model
from conductance.nn import AveragingLayer, CWALinear, GapJunction
from conductance.transform import freeze


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layers_are_single_nodes(architecture, family, frozen):
    joined = FAMILIES[family].averages and architecture == "resnet18"
    options = {"shortcut": "conductance"} if joined else {}
    model = create_model(architecture, family, (1, 8, 8), 3, widths=(4, 6), **options)
    model = freeze(model) if frozen else model.eval()
    traced = fx.symbolic_trace(model)
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(traced(x), model(x))
    called = {str(node.target) for node in traced.graph.nodes if node.op == "call_module"}
    for name, part in model.named_modules():
        inside = any(name.startswith(f"{other}.") for other in called)
        if isinstance(part, (AveragingLayer, GapJunction)) and not inside:
            assert name in called


def test_further_conductances_are_an_argument_of_the_node():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.side = CWALinear(4, 4), CWALinear(4, 4, average=False)

        def forward(self, p):
            return self.layer(p, extra_conductances=self.side(p))

    model = Joined()
    traced = fx.symbolic_trace(model)
    (node,) = (node for node in traced.graph.nodes if node.target == "layer")
    assert [str(each) for each in node.all_input_nodes] == ["p", "side"]
    p = torch.rand(3, 4)
    torch.testing.assert_close(traced(p), model(p))


def test_a_layer_alone_is_refused_with_the_remedy():
    with pytest.raises(InputError, match=r"trace torch.nn.Sequential\(layer\)"):
        fx.symbolic_trace(CWALinear(4, 4))
