"""Networks in which conductances of other layers join an average."""

import torch
from torch import nn

from conductance import init
from conductance.biophysics import PotentialRange, to_biophysical
from conductance.models import create_model
from conductance.nn import CWAConv2d, CWALinear, GapJunction, LateralConv2d, LateralLinear

RANGE = PotentialRange(-90.0, 0.0)


class Circuit(nn.Module):
    """An interneuron population beside a layer, an excitatory side input and a gap junction, all joined in its average.

    Args:
        join: makes what joins of the contributions, by name: inhibition, excitation, junction.
    """

    def __init__(self, join) -> None:
        super().__init__()
        self.join = join
        self.first = CWALinear(6, 4, doubled_input=True, activation="relu")
        self.interneurons = CWALinear(4, 3, activation="relu")
        self.inhibition = CWALinear(3, 4, valence=[-1.0, -0.5, -1.0], average=False, resting_conductance=0.5)
        self.excitation = CWALinear(4, 4, valence=[1.0, 0.25, 1.0, 0.75], average=False, resting_conductance=0.0)
        self.junction = GapJunction(4, 0.7)
        self.units = CWALinear(4, 4, activation="relu")
        self.readout = nn.Linear(4, 3)

    def forward(self, x):
        p = self.first(x.flatten(1))
        contributions = {
            "inhibition": self.inhibition(self.interneurons(p)),
            "excitation": self.excitation(p),
            "junction": self.junction(p),
        }
        return self.readout(self.units(p, extra_conductances=self.join(contributions)))


def lateral():
    return nn.Sequential(
        LateralConv2d(2, 4, 3, padding=1, doubled_input=True, activation="relu", slices=3),
        nn.Flatten(),
        LateralLinear(12, 8, activation="relu", strength=0.5),
        LateralLinear(8, 4, activation="relu", slices=0),
        nn.Linear(4, 3),
    )


def pooled():
    return nn.Sequential(
        CWAConv2d(2, 4, 3, padding=1, doubled_input=True, pooled_interneuron=True),
        nn.Flatten(),
        CWALinear(12, 5, pooled_interneuron=True),
        CWALinear(5, 4, valence=[1.0, 1.0, 1.0, -1.0, -1.0], pooled_interneuron=True, activation=None),
        nn.ReLU(),
        nn.Linear(4, 3),
    )


def side_by_side():
    class Columns(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = CWAConv2d(2, 4, 3, padding=1, groups=2, doubled_input=True, average=False)
            self.narrow = CWAConv2d(2, 4, 1, doubled_input=True, activation="relu")

        def forward(self, x):
            return self.narrow(x, self.wide(x)).mean((2, 3))

    return Columns()


def resnet(family, blocks, **options):
    size = {"widths": (4, 6), "blocks": blocks, "shortcut": "conductance"}
    return create_model("resnet18", family, (2, 1, 3), 3, **size, **options)


NETWORKS = {
    "interneurons": lambda: Circuit(lambda joined: joined["inhibition"]),
    "scaled and summed": lambda: Circuit(lambda joined: 0.1 * joined["inhibition"] + 2 * joined["excitation"]),
    "gap junction": lambda: Circuit(lambda joined: joined["junction"]),
    "all": lambda: Circuit(lambda joined: sum(joined.values())),
    "no sum of synapses": lambda: Circuit(lambda joined: (joined["inhibition"] + joined["excitation"]).square()),
    "lateral": lateral,
    "pooled": pooled,
    "side by side": side_by_side,
    "resnet": lambda: resnet("cwa", 2),
    "resnet, lateral": lambda: resnet("cwa_li", 1),
    "resnet, pooled": lambda: resnet("cwa", 1, layer_options={"pooled_interneuron": True}),
}


def images(n=3):
    return torch.rand(n, 2, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def build(name):
    """A network in float64 in which units of every layer are active, images, and its membranes."""
    torch.manual_seed(2)
    model, x = NETWORKS[name](), images()
    init.initialize(model, x.float())
    model = model.double().eval()
    return model, x, to_biophysical(model, RANGE, images=x)
