"""The page computes what the network in Python computes, in a real browser."""

from base64 import b64encode
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from shown_networks import as_it_is, networks, source_of
from torch import nn

from conductance.biophysics import to_biophysical
from conductance.data import load_dataset
from conductance.errors import DataError
from conductance.live.page import page_data
from conductance.share.source import Source

TOLERANCE = 1e-4

SETTLED = """
({network, images, disturbance}) => {
  const net = new Network(network), eye = new Eye(images[0].length);
  const all = {...UNDISTURBED, ...disturbance};
  return images.map((pixels) => {
    net.settle(eye.look(Float32Array.from(pixels), all), all);
    return {z: net.membranes.map((layer) => Array.from(layer.z)), scores: Array.from(net.scores)};
  });
}
"""
ANSWERS = """
({name, text}) => {
  const net = new Network(page.data[name] ? page.data[name].network ?? page.data[name] : page.data.network);
  const bytes = bytesOf(text), size = net.input.length, answers = [], scores = [];
  for (let at = 0; at < bytes.length; at += size) {
    net.settle(Float32Array.from(bytes.subarray(at, at + size), (value) => value / 255), UNDISTURBED);
    answers.push(net.answer);
    scores.push(...net.scores);
  }
  return {answers, scores};
}
"""


def values_of(images):
    """Pixels in [0, 1] as the page has them: place after place."""
    return (images.movedim(1, -1).flatten(1).double() / 255).tolist()


def shown(page, source, **disturbance):
    data = page_data(source)["network"]
    found = page.evaluate(SETTLED, {"network": data, "images": values_of(source.images), "disturbance": disturbance})
    z = [torch.tensor(layer, dtype=torch.float32) for layer in zip(*(each["z"] for each in found), strict=True)]
    return z, torch.tensor([each["scores"] for each in found], dtype=torch.float32)


@given(source=networks())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_membrane_and_every_score_of_any_chain(page, source):
    z, scores = shown(page, source)
    expected, outputs = as_it_is(source)
    assert len(z) == len(expected) > 0
    for layer, wanted in zip(z, expected, strict=True):
        torch.testing.assert_close(layer, wanted, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(scores, outputs, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("name", ["network", "beside"])
def test_a_thousand_images_get_the_same_answers(page, name):
    """Test images of MNIST where they are, random ones elsewhere."""
    source = Source.of(Path("mnist-small" if name == "network" else "mnist-small-batchnorm"))
    try:
        images = load_dataset("mnist", download=False).test.pixels[:1000]
    except DataError:
        images = torch.randint(0, 256, (1000, 1, 28, 28), dtype=torch.uint8)
    found = page.evaluate(ANSWERS, {"name": name, "text": b64encode(images.numpy().tobytes()).decode()})
    with torch.no_grad():
        expected = source.network(source.preprocessing(images))
    scores = torch.tensor(found["scores"]).view_as(expected)
    torch.testing.assert_close(scores, expected, atol=TOLERANCE, rtol=TOLERANCE)
    close = expected.topk(2).values.diff().abs().flatten() < 2 * TOLERANCE  # two classes may be as good as equal
    assert ((torch.tensor(found["answers"]) == expected.argmax(1)) | close).all()


@pytest.mark.parametrize("kind", ["unit", "scaled"])
def test_every_preprocessing(page, kind):
    torch.manual_seed(1)
    from conductance.nn import CWAConv2d

    network = nn.Sequential(CWAConv2d(1, 4, 3), nn.Flatten(), nn.Linear(100, 3))
    source = source_of(network, (1, 7, 7), kind=kind)
    z, scores = shown(page, source)
    expected, outputs = as_it_is(source)
    torch.testing.assert_close(z[0], expected[0], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(scores, outputs, atol=TOLERANCE, rtol=TOLERANCE)


def test_membranes_relax_as_the_equation_says(page):
    """Against a fine Euler integration of C dV/dt = sum g (E - V) in float64, in mV, nS and pF."""
    source = Source.of(Path("mnist-small"))
    image = source.images[:1]
    steps = 40
    found = page.evaluate(
        """({pixels, steps}) => {
          const net = new Network(page.data.network), seen = Float32Array.from(pixels), course = [];
          net.rest();
          for (let i = 0; i < steps; i++) {
            net.relax(seen, UNDISTURBED, 0.1);
            course.push(net.membranes.map((layer) => Array.from(layer.z)));
          }
          return course[steps - 1];
        }""",
        {"pixels": values_of(image)[0], "steps": steps},
    )
    network = to_biophysical(source.network, images=source.preprocessing(_pictures()))
    p = source.preprocessing(image)
    V = [layer.resting_potential.view(-1, 1, 1).double().clone() for layer in network.layers]
    fine = 20
    with torch.no_grad():
        for _ in range(steps * fine):
            inputs = [p, *(layer.open_probability(v.float())[None] for layer, v in zip(network.layers, V, strict=True))]
            for number, layer in enumerate(network.layers):
                E, I = layer.open_conductances(layer.per_presynaptic_neuron(inputs[number].expand(1, -1, -1, -1)))
                driving = E[0].double() * (layer.potentials.maximum - V[number]) + I[0].double() * (
                    layer.potentials.minimum - V[number]
                )
                V[number] = V[number] + 0.1 / fine * driving / layer.capacitance.view(-1, 1, 1)
    for layer, v, z in zip(network.layers, V, found, strict=True):
        expected = layer.potentials.to_valence(v).movedim(0, -1).flatten()
        assert (torch.tensor(z, dtype=torch.float64) - expected).abs().max() < 0.03  # of steps of 0.1 ms
        assert expected.abs().max() > 0.2


def _pictures():
    from conductance.live.pictures import pictures

    return pictures(Source.of(Path("mnist-small"))).pixels


def test_what_blocked_inhibition_and_leak_do_is_what_they_say(page):
    """Without inhibition nothing pulls below rest; a leak that grows pulls every membrane towards its own potential."""
    source = Source.of(Path("mnist-small"))
    part = Source(source.name, source.network, source.preprocessing, source.classes, source.images[:4])
    awake, _ = shown(page, part, block=1)
    normal, _ = shown(page, part)
    assert min(float(layer.min()) for layer in awake) >= -1e-6  # this network's leaks hold at z = 0
    assert awake[-1].mean() > 0.8 > 0.2 > normal[-1].mean()
    leaky, _ = shown(page, part, leak=1e4)
    assert max(float(layer.abs().max()) for layer in leaky) < 0.05


def test_which_strokes_speak_for_an_answer(page):
    """Against the same wiping in torch: a Gaussian of 2 pixels at every second pixel where there is any ink."""
    source = Source.of(Path("mnist-small"))
    image = _pictures()[2:3].float() / 255
    asked, found = page.evaluate(
        """(pixels) => {
          const asking = new Reasons(page.data.network, page.data.classes);
          const asked = asking.start(Float32Array.from(pixels), UNDISTURBED, null);
          asking.work(Infinity, page.palette);
          return [asked, Array.from(asking.worth)];
        }""",
        values_of(image * 255)[0],
    )
    at = torch.arange(28.0)
    middles = torch.cartesian_prod(at[::2] + 0.5, at[::2] + 0.5)
    distance = (at.view(1, -1, 1) - middles[:, 0].view(-1, 1, 1)) ** 2 + (at - middles[:, 1].view(-1, 1, 1)) ** 2
    wiper = torch.exp(-distance / 8).where(distance <= 36, 0.0)
    wiper = wiper[(wiper * image[0, 0]).flatten(1).amax(1) > 0.1 * image.max()]

    @torch.no_grad()
    def lead(images):
        scores = source.network(source.preprocessing.of_values(images * 255))
        others = scores.clone()
        others[:, asked] = -torch.inf
        return scores[:, asked] - others.amax(1)

    worth = lead(image) - lead(image * (1 - wiper[:, None]))
    expected = (wiper * worth.view(-1, 1, 1)).sum(0) / wiper.sum(0)
    torch.testing.assert_close(torch.tensor(found).view(28, 28), expected.nan_to_num(), atol=1e-3, rtol=1e-3)
    assert expected.nan_to_num().abs().max() > 0.5


def test_dead_cells_are_the_share_that_was_asked_for_and_the_same_in_both_networks(page):
    ours, theirs = page.evaluate(
        """() => ["network", "beside"].map((name) => {
          const net = new Network(name === "network" ? page.data.network : page.data.beside.network);
          net.lesion(0.3);
          return net.fates.map(({layer}) => Array.from(layer.dead));
        })"""
    )
    assert ours == theirs
    flat = torch.tensor([cell for layer in ours for cell in layer], dtype=torch.float64)
    assert abs(flat.mean() - 0.3) < 0.03
