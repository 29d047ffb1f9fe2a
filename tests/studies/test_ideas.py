"""The study of further ideas: its cases, and what its table decides."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from conductance.models import create_model
from conductance.report.table import NOTHING
from conductance.runs import OptimizerConfig
from conductance.training import Trainer, TrainingConfig
from studies.ideas.conditioners import Shampoo, Soap, conditioned, preconditioned
from studies.ideas.measure import CHANGES, GROWING, IN_CNNS, IN_RESNETS, cases, config_of
from studies.ideas.schedules import Batches, resize
from studies.ideas.stochastic_depth import OftenLeftOut, leave_out
from studies.ideas.table import table
from studies.shared.packing import packed
from studies.shared.short import HELD_OUT


def test_each_idea_changes_the_pooled_preset():
    configs = {case.change: config_of(case) for case in cases() if case.seed == 0 and case.network == "cnn"}
    assert list(configs) == list(IN_CNNS)
    assert len({str(configs[name]) for name in CHANGES}) == len(CHANGES)
    assert all(config_of(case).conductance.pooled_interneuron for case in cases())
    assert {case.change for case in cases() if case.network == "resnet18"} == set(IN_RESNETS)


@pytest.mark.parametrize(
    ("accuracy", "seeds", "verdict"),
    [(0.7, 3, "better"), (0.5, 3, "worse"), (0.6, 3, "undecided"), (0.7, 1, "undecided")],
)
def test_an_idea_is_judged_on_the_same_images(accuracy, seeds, verdict):
    rows = [
        {
            "network": "cnn",
            "change": change,
            "seed": str(seed),
            "validation": "60",
            "training": "61",
            "mirrored": "62",
            "correct": packed(np.random.default_rng([seed, len(change)]).random(HELD_OUT) < right),
        }
        for change, right in (("none", 0.6), ("no twins", accuracy))
        for seed in range(seeds)
    ]
    unchanged, changed = table(rows).splitlines()[2:]
    assert unchanged.split(" | ")[2:6] == ["60.00", "62.00", "61.00", NOTHING]
    assert changed.split(" | ")[-2] == verdict


def test_shampoo_evens_directions_out():
    rows = torch.randn(6, 40, dtype=torch.float64) * torch.tensor([10.0, 1, 1, 1, 0.1, 0.1])[:, None]
    step = preconditioned(rows, rows @ rows.mT)
    assert step.square().mean() == pytest.approx(1)
    values = torch.linalg.svdvals(step)
    torch.testing.assert_close(values, values[:1].expand(6))  # as Muon has it, by the last gradient alone
    assert preconditioned(torch.zeros(3, 4), torch.zeros(3, 3)).isfinite().all()


def test_soap_is_adam_in_the_basis_of_the_gradients():
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    sizes = torch.tensor([100.0, 30, 10, 3, 1], dtype=torch.float64)[:, None]
    along = torch.linalg.qr(torch.randn(40, 5, dtype=torch.float64)).Q.mT
    soap = Soap()
    for _ in range(200):
        direction = soap(basis @ (sizes * along * (1 + 0.001 * torch.randn(5, 40, dtype=torch.float64))))
    far = (basis.mT @ direction).abs()  # every one by the same, however small its gradient
    torch.testing.assert_close(far, torch.ones_like(far), rtol=0, atol=0.3)
    torch.testing.assert_close(soap.basis.mT @ soap.basis, torch.eye(5, dtype=torch.float64))
    assert Soap()(torch.zeros(3, 4)).isfinite().all()


@pytest.mark.parametrize("conditioner", [Shampoo, Soap])
def test_conditioners_learn(conditioner):
    network = create_model("cnn", "cwa", (1, 8, 8), 3, widths=(8, 40), layer_options={"pooled_interneuron": True})
    optimizer, images = conditioned(network, 0.3, conditioner), torch.rand(60, 1, 8, 8)
    labels = torch.arange(60) % 3
    images[labels == 1, :, :4] *= 0.2
    images[labels == 2, :, :, :4] *= 0.2
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_images_grow_while_a_network_trains_and_are_whole_when_it_is_judged():
    seen = []
    network = torch.nn.Sequential(torch.nn.Identity())
    resize(network, (4, 6, 8), steps=6)
    network[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    for step in range(8):
        network.train()(torch.rand(2, 1, 8, 8))
        if step == 0:
            network.eval()(torch.rand(2, 1, 8, 8))
    assert seen == [4, 8, 4, 6, 6, 8, 8, 8, 8]


def test_batches_grow_and_the_steps_fall_to_zero():
    assert sum(-(-15_000 // size) for size in GROWING) == 600
    network, data = torch.nn.Linear(4, 3), (torch.rand(60, 4), torch.arange(60) % 3)
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])) if network.training else None)
    trainer = Trainer(
        network,
        data,
        TrainingConfig(epochs=3, batch_size=20, optimizer=OptimizerConfig("adam")),
        callbacks=[Batches((10, 20, 30))],
        progress=False,
        device="cpu",
    )
    trainer.fit()
    assert sizes[-11:] == [10] * 6 + [20] * 3 + [30] * 2
    assert trainer.step == 11
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_branches_are_left_out_in_training_and_weighed_afterwards():
    options = {"pooled_interneuron": True}
    network = create_model("resnet18", "cwa", (3, 8, 8), 3, widths=(4, 4, 6, 6), layer_options=options)
    images, whole = torch.rand(2, 3, 8, 8), deepcopy(network)
    leave_out(network, 0.0)
    torch.testing.assert_close(network(images), whole(images))
    network = deepcopy(whole)
    leave_out(network, 0.4)
    blocks = [each for each in network.modules() if isinstance(each, OftenLeftOut)]
    assert [block.kept for block in blocks] == pytest.approx([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6])
    last, p = blocks[-1], torch.rand(4000, 6, 1, 1)
    drawn, alone = last.train()(p), last.block.shortcut(p).relu()
    left_out = (drawn == alone).flatten(1).all(1)
    assert left_out.float().mean() == pytest.approx(0.4, abs=0.05)
    torch.testing.assert_close(drawn[~left_out], last.block(p)[~left_out])
    assert bool((last.eval()(p) <= 1).all())
    network.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
