"""Forms of a conductance: cases differ in the form alone, and only the preset's optimizer keeps synapses at 0."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from conductance.nn import CWALinear
from conductance.optim import create_optimizer
from studies.forms.measure import FORMS_OF_G, KEPT, limit_of


def test_cases_are_the_preset_but_for_the_start():
    configs = [FORMS_OF_G.config(case, 0) for case in FORMS_OF_G.cases]
    assert len({FORMS_OF_G.run_folder(config) for config in configs}) == len(configs)
    starts = {str(replace(config, name="", conductance=configs[0].conductance)) for config in configs}
    assert len(starts) == 2  # the CNN and the FCN


@pytest.mark.parametrize("case", FORMS_OF_G.cases[:3], ids=lambda case: case[2])
def test_parameters_go_below_0_in_all_but_the_preset(case):
    network = nn.Sequential(CWALinear(6, 4), CWALinear(4, 4), nn.Linear(4, 2))
    optimizer = create_optimizer(network, lr=3.0)
    with limit_of(case):
        for _ in range(5):
            optimizer.zero_grad()
            network(torch.rand(8, 6)).square().sum().backward()
            optimizer.step()
    least = min(float(layer.g.detach().min()) for layer in network[:2])
    assert (least >= 0) == (case[2] == KEPT)
    assert all(bool((layer.conductance >= 0).all()) for layer in network[:2])
