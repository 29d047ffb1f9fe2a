"""Networks of any wiring: a list of steps, each of which reads earlier values."""

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv2d, CWALinear, LateralLinear

WIDTH = 4

MODULES = (
    "average",
    "rectifying",
    "pooled",
    "absnorm",
    "affine",
    "norm",
    "relu",
    "relu in place",
    "identity",
    "lateral",
)
CHAINS = ("chain", "chain, features", "chain, cut", "chain, by type", "chain, first alone")
FUNCTIONS = ("sum", "functional relu", "added in place", "kept", "read", "if given", "if flag")


def steps():
    """Lists of (what, which of its kind, where its first input lies, where its second)."""
    nearby = st.sampled_from([1, 1, 1, 1, 1, 2, 3])
    kinds = st.sampled_from([*MODULES, "norm", "norm", "affine", *CHAINS, *FUNCTIONS])
    return st.lists(st.tuples(kinds, st.integers(0, 2), nearby, nearby), min_size=1, max_size=10)


class RandomNetwork(nn.Module):
    """Does the steps, one after the other; returns the last value and some of the others."""

    def __init__(self, steps, images: bool, returned: int) -> None:
        super().__init__()
        self.steps, self.images, self.returned = steps, images, returned
        self.memory = []
        self.parts = nn.ModuleDict()
        for what, which, *_ in steps:
            name = f"{what.partition(',')[0]}{which}"
            if what in (*MODULES, *CHAINS, "read") and name not in self.parts:
                self.parts[name] = self._part(what)

    def _part(self, what):
        average = CWAConv2d if self.images else CWALinear
        absnorm = AbsNormConv2d if self.images else AbsNormLinear
        affine = nn.Conv2d if self.images else nn.Linear
        norm = nn.BatchNorm2d if self.images else nn.BatchNorm1d
        size = (WIDTH, WIDTH, 3, 1, 1) if self.images else (WIDTH, WIDTH)
        if what.startswith("chain"):
            return nn.Sequential(affine(*size), norm(WIDTH), nn.ReLU(), Sigmoid(), average(*size, activation=None),
                                 norm(WIDTH), nn.ReLU())  # fmt: skip
        return {
            "average": lambda: average(*size, activation=None),
            "rectifying": lambda: average(*size, activation="relu"),
            "pooled": lambda: average(*size, activation=None, pooled_interneuron=True),
            "absnorm": lambda: absnorm(*size, activation=None),
            "lateral": lambda: average(*size) if self.images else LateralLinear(*size, activation=None),
            "affine": lambda: affine(*size),
            "read": lambda: affine(*size),
            "norm": lambda: norm(WIDTH),
            "relu": nn.ReLU,
            "relu in place": lambda: nn.ReLU(inplace=True),
            "identity": nn.Identity,
        }[what]()

    def forward(self, x, given=None, flag=False):
        values = [x.clone()]
        for what, which, first, second in self.steps:
            a, b = values[-min(first, len(values))], values[-min(second, len(values))]
            values += self._step(what, f"{what.partition(',')[0]}{which}", a, b, given, flag)
        return torch.cat(values[-self.returned :], 1)

    def _step(self, what, name, a, b, given, flag):
        if what in ("average", "rectifying", "pooled", "absnorm", "lateral"):
            return [self.parts[name](a.sigmoid())]
        if what in MODULES:
            return [self.parts[name](a)]
        if what in CHAINS:
            return self._chain(what, self.parts[name], a)
        if what == "sum":
            return [a + b]
        if what == "functional relu":
            return [F.relu(a)]
        if what == "added in place":
            return [a.add_(0.5)]
        if what == "kept":
            self.memory.append(a)
            return [self.memory.pop() + b]
        if what == "read":
            return [a * self.parts[name].weight.mean() + self.parts[name](b)]
        if what == "if given":
            return [a] if given is None else [a + given]
        return [b] if flag else [a]

    def _chain(self, what, chain, a):
        if what == "chain, cut":
            return [chain[2:](chain[:2](a))]
        if what == "chain, first alone":
            return [chain[0](a)]
        if what == "chain":
            return [chain(a)]
        seen = []
        for part in chain:
            a = part(a)
            if what == "chain, features" or isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d, CWALinear, CWAConv2d)):
                seen.append(a)
        return [*seen, a]


class Sigmoid(nn.Module):
    """One of the user's own."""

    def forward(self, x):
        return x.sigmoid()


def build(steps, images, returned):
    """Such a network, as `draw_statistics` leaves it."""
    return draw_statistics(RandomNetwork(steps, images, returned))


def draw_statistics(network):
    """In float64 and evaluation mode, with BatchNorm's statistics and parameters away from their start."""
    for norm in network.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return network.double().eval()
