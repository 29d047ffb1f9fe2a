"""The studies of circuits: their networks are what they say, one run learns, and pages show what was measured."""

import pytest
import torch

from conductance.nn import ConductanceLayer, spectral_radius
from studies.connectivity import circuits as connectivity
from studies.connectivity import measure as connectivity_study
from studies.pooled_circuits import circuits as pools
from studies.pooled_circuits import measure as pooled_study
from studies.recurrence import measure as recurrence
from studies.recurrence import networks, tasks
from studies.rollout import circuits as rollouts
from studies.rollout import measure as rollout_study
from studies.shared import lines
from studies.shared.few_images import FewImages, Part
from studies.shared.growing import read_rows
from studies.shared.learning import is_right, learn, percent
from studies.valence import measure as valence
from studies.valence.networks import LearnedValence, build, valences
from tools import write_circuit_claims as claims


@pytest.mark.parametrize("name", valence.CONDITIONS)
def test_valences_are_as_they_are_called(name):
    found = valences(name.removeprefix("learned from "), 200)
    assert found.abs().max() == 1
    if name[0].isdigit():
        shares = [int(each) for each in name.partition(" of ")[0].split(":")]
        kinds, counts = found.unique(return_counts=True)
        assert counts.flip(0).tolist() == [2 * share for share in shares]
        if " of " in name:
            assert kinds.flip(0).tolist() == [float(each) for each in name.partition(" of ")[2].split(", ")]


@pytest.mark.parametrize("kind", valence.NETWORKS)
def test_a_learned_valence_that_was_not_learned_yet_is_a_given_one(kind):
    images = torch.rand(3, 1, 28, 28)
    torch.manual_seed(0)
    given = build(kind, (1, 28, 28), "80:20")
    torch.manual_seed(0)
    learned = build(kind, (1, 28, 28), "learned from 80:20")
    torch.testing.assert_close(learned(images), given(images))
    learned(images).sum().backward()
    moved = [each for each in learned if isinstance(each, LearnedValence)]
    assert moved
    assert all(each.e.grad.abs().sum() > 0 for each in moved)
    assert isinstance(given[1], ConductanceLayer)


@pytest.mark.parametrize("name", networks.SETTINGS)
@pytest.mark.parametrize("task", ["rows", "decision"])
def test_recurrent_networks_have_as_many_parameters(name, task):
    most = networks.parameters(networks.CWARNN(tasks.TASKS[task].features, tasks.TASKS[task].units))
    for setting, (make, _) in networks.SETTINGS[name].items():
        units = networks.units_of(name, setting, tasks.TASKS[task])
        found = networks.parameters(make(tasks.TASKS[task], units))
        assert 0.9 * most < found < 1.02 * most


def test_the_dale_network_obeys_dales_law_and_goes_on_from_a_state():
    torch.manual_seed(0)
    network, steps = networks.DaleRNN(3, 10, 0.2), torch.rand(2, 6, 3)
    output, last = network(steps)
    _, middle = network(steps[:, :3])
    again, _ = network(steps[:, 3:], middle)
    torch.testing.assert_close(again, output[:, 3:])
    assert last.shape == (1, 2, 10)
    signs = (network.recurrent.abs() * network.valence).sign()
    assert (signs[:, :8] == 1).all()
    assert (signs[:, 8:] == -1).all()


def test_trials_to_judge_by_are_the_same_for_all_seeds_and_can_be_decided():
    first, second = tasks.decisions(0), tasks.decisions(1)
    assert torch.equal(first.test.inputs, second.test.inputs)
    assert not torch.equal(first.learned.inputs, second.learned.inputs)
    best = percent(tasks.best_answers(first.test) == first.test.labels)
    measured = [float(row["test"]) for row in read_rows(recurrence.FOLDER.result) if row["task"] == "decision"]
    assert 80 < best < 95
    assert max(measured) == pytest.approx(best, abs=1.5)  # as the page says


def test_answers_of_stretches_are_those_of_the_steps():
    task = tasks.Task(lambda *_: FewImages(*[Part(torch.zeros(1), torch.zeros(1))] * 3), 2, stretch=3)
    torch.manual_seed(0)
    network = networks.LastStep(torch.nn.GRU(2, 5, batch_first=True), 5, task)
    steps = torch.rand(4, 7, 2)
    found = network.answers(steps)
    output, _ = network.recurrent(steps)
    for answer, at in zip(found, (2, 5, 6), strict=True):
        torch.testing.assert_close(answer, network.readout(output[:, at]))


def test_a_network_learns_what_is_easy():
    torch.manual_seed(0)
    labels = torch.randint(2, (200,))
    part = Part(0.1 + 0.8 * labels[:, None, None].float().expand(-1, 5, 3), labels)
    network, optimizer = networks.build("CWARNN", "tau 30", tasks.Task(lambda *_: None, 3, classes=2, units=10))
    learn(network, part, epochs=2, make=optimizer, clip=1.0)
    assert is_right(network, part).float().mean() > 0.9


@pytest.mark.parametrize("layer", [connectivity.MNIST, connectivity.CIFAR10])
def test_networks_of_any_fan_in_have_as_many_synapses(layer):
    for fan_in in layer.fan_ins:
        units = layer.units(fan_in)
        assert layer.synapses * 0.96 < units * (fan_in + connectivity.CLASSES) <= layer.synapses
        [_, network] = connectivity.by_fan_in("conductance", layer, fan_in)
        assert network.synapse_count == units * fan_in


@pytest.mark.parametrize("kernel", connectivity.KERNELS)
def test_convolutions_of_any_kernel_have_as_many_synapses(kernel):
    network = connectivity.by_kernel(kernel)
    synapses = sum(layer.g.numel() for layer in network[:2]) + network[-1].weight.numel()
    assert abs(synapses - connectivity.OF_KERNELS) < 0.1 * connectivity.OF_KERNELS
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, connectivity.CLASSES)


@pytest.mark.parametrize(
    ("study", "places", "condition", "reference", "rows", "headings"),
    [
        (valence, valence.PLACES, "condition", valence.REFERENCE, read_rows, ("Network", "Data", "Valences")),
        (
            recurrence,
            ("task",),
            "network",
            recurrence.REFERENCE,
            lambda path: recurrence.reported(read_rows(path)),
            ("Task", "Network"),
        ),
    ],
)
def test_tables_are_those_of_the_rows(study, places, condition, reference, rows, headings):
    found = lines.lines(rows(study.FOLDER.result), places, condition, reference)
    assert study.FOLDER.table.read_text() == lines.table(found, headings[:-1], headings[-1])


@pytest.mark.parametrize("name", rollout_study.ROOMS[::4])
def test_interneurons_have_the_room_that_is_named(name):
    share, strength = (float(part.split()[1]) for part in name.split(", "))
    torch.manual_seed(0)
    network = rollouts.with_room(name)
    torch.manual_seed(0)
    usual = rollouts.rollout(rollouts.SLICES, share)
    inhibition, of_usual = (each.conductance("PV", "E") for each in (network, usual))
    assert inhibition.shape == (rollouts.EXCITATORY, round(share * rollouts.EXCITATORY))
    torch.testing.assert_close(inhibition, strength * of_usual)


def test_slices_come_to_rest_from_a_settled_start_and_not_from_any():
    images = torch.rand(5, 28, 28, generator=torch.Generator().manual_seed(0))
    found = []
    for settled in rollout_study.STARTS.values():
        torch.manual_seed(0)
        found.append(spectral_radius(rollouts.rollout(4, settled=settled), images))
    assert found[0] < 1 < found[1]
    assert "PV" not in rollouts.with_room(rollouts.WITHOUT).populations


def test_room_is_chosen_by_mean_validation_accuracy():
    accuracies = {(rollouts.WITHOUT, "0"): 99, ("a", "0"): 80, ("a", "1"): 90, ("b", "0"): 88, ("b", "1"): 81}
    rows = [
        {"part": rollout_study.ROOM, "condition": name, "seed": seed, "validation": str(value)}
        for (name, seed), value in accuracies.items()
    ]
    assert rollout_study.chosen(rows) == "a"
    assert rollout_study.chosen(rows[:1]) is None


@pytest.mark.parametrize("name", pools.CONDITIONS)
def test_networks_with_pools_are_what_they_are_called(name):
    torch.manual_seed(0)
    network = pools.build(name)
    assert network(torch.rand(3, 28, 28)).shape == (3, pools.CLASSES)
    if name in pools.UNDER_DALE:
        populations = network.populations
        classes = name in (pools.PER_CLASS, pools.SLOW_PER_CLASS)
        layers = ("E1", "I1", "E2", "I2") if classes else ("layer1", "layer2")
        assert {key for key in populations if not key.startswith("pool")} == set(layers)
        pooled = "pool" in name and not name.startswith("synaptic")
        assert all(populations[layer].pooled_interneuron == pooled for layer in layers)
        assert all(populations[layer].leaky == name.startswith("slow") for layer in layers)


@pytest.mark.parametrize("name", [pools.SYNAPTIC, pools.SYNAPTIC_LEARNED])
def test_a_synaptic_pool_reads_what_excites_and_inhibits_all(name):
    torch.manual_seed(0)
    network = pools.build(name)
    read, back = network.conductance("layer1", "pool1"), network.conductance("pool1", "layer1")
    half = pools.WIDTHS[0] // 2
    assert torch.equal(read, (torch.arange(2 * half) < half).to(read)[None])
    torch.testing.assert_close(back, pools.FEEDBACK * network.conductance("x", "layer1").sum(1, keepdim=True))


def test_the_affine_step_is_chosen_by_validation_accuracy_and_shown_alone():
    rows = [
        {"condition": pools.AFFINE, "step": step, "seed": "0", "validation": accuracy}
        for step, accuracy in zip(pooled_study.STEPS, ("80", "90", "85", "70"), strict=True)
    ]
    assert pooled_study.chosen(rows) == pooled_study.STEPS[1]
    assert pooled_study.chosen(rows[1:]) is None
    assert pooled_study.reported(rows) == [rows[1]]


@pytest.mark.parametrize("study", [connectivity_study, rollout_study, pooled_study])
def test_tables_of_circuits_are_those_of_the_rows(study, monkeypatch):
    written = {}
    monkeypatch.setattr(study, "write_text", written.__setitem__)
    study.show()
    assert written[study.FOLDER.table] == study.FOLDER.table.read_text()


def test_the_page_of_claims_shows_what_the_rows_say():
    text = claims.table()
    assert claims.TABLE.read_text() == text
    assert text in (claims.ROOT / "docs" / "circuits_claims.md").read_text()
