"""What is saved and loaded is the same network: every number, every answer, every gradient, whatever its options."""

import subprocess
import sys
import warnings
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import circuits, layers, networks, recurrent, sequences
from torch import nn

import conductance
from conductance.errors import InputError
from conductance.share import about

OF_EXTRAS = {"accelerate", "huggingface_hub", "matplotlib", "rich", "scipy", "sklearn", "transformers", "tyro"}
SEVERAL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def output(model, inputs):
    found = model(inputs)
    return found[0] if isinstance(found, tuple) else found


def plain_attributes(module):
    """All attributes of a module by name, with the values of those that are plain."""
    kinds = (bool, int, float, str, tuple, type(None))
    own = {name: value for name, value in vars(module).items() if name != "_is_torch_compile"}
    return {name: value if isinstance(value, kinds) else ... for name, value in own.items()}


def assert_same(model, loaded, inputs):
    assert not any(module.training for module in loaded.modules())
    model.eval()
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype, name
        assert torch.equal(value, after[name]), name
    flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert flags == {name: parameter.requires_grad for name, parameter in loaded.named_parameters()}
    for mine, other in zip(model.modules(), loaded.modules(), strict=True):
        assert type(mine) is type(other)
        assert plain_attributes(mine) == plain_attributes(other)
    assert torch.equal(output(model, inputs), output(loaded, inputs))
    gradients = []
    for each in (model.train(), loaded.train()):
        torch.manual_seed(0)
        output(each, inputs).float().square().sum().backward()
        gradients.append([parameter.grad for parameter in each.parameters()])
    for mine, other in zip(*gradients, strict=True):
        assert mine is other is None or torch.equal(mine, other)


@SEVERAL
@given(made=layers())
def test_a_layer(made, tmp_path):
    model, inputs = made
    folder = conductance.save(model, tmp_path / "saved", overwrite=True)
    loaded = conductance.load(folder)
    assert repr(loaded) == repr(model) or "per unit" in repr(model)
    assert loaded.description() == model.description() if hasattr(model, "description") else True
    assert_same(model, loaded, inputs)


@SEVERAL
@given(made=networks() | recurrent() | circuits())
def test_a_network(made, tmp_path):
    model, inputs = made
    assert_same(model, conductance.load(conductance.save(model, tmp_path / "saved", overwrite=True)), inputs)


@SEVERAL
@given(made=layers())
def test_a_loaded_layer_starts_anew_as_the_first_one_would(made, tmp_path):
    model, _ = made
    loaded = conductance.load(conductance.save(model, tmp_path / "saved", overwrite=True))
    for each in (model, loaded):
        torch.manual_seed(1)
        each.reset_parameters()
    for name, value in model.state_dict().items():
        rounding = 4 * torch.finfo(value.dtype).eps if value.is_floating_point() else 0  # of numbers around 1
        torch.testing.assert_close(value, loaded.state_dict()[name], rtol=rounding, atol=rounding, msg=name)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=circuits())
def test_a_circuit_keeps_its_meaning_in_mv_and_ms(made, tmp_path):
    model, _ = made
    loaded = conductance.load(conductance.save(model, tmp_path / "saved", overwrite=True))
    assert repr(loaded).split("(leak)")[0] == repr(model).split("(leak)")[0]
    assert (model.potentials, model.inputs, model.outputs) == (loaded.potentials, loaded.inputs, loaded.outputs)
    for name in model.populations:
        assert torch.equal(model.valence(name), loaded.valence(name))
        one, other = model.populations[name], loaded.populations[name]
        assert (one.places, one.source_grid, one.tau_synapse, one.synapse_memory) == (
            other.places,
            other.source_grid,
            other.tau_synapse,
            other.synapse_memory,
        )
    assert (model.projections, model.slice_duration) == (loaded.projections, loaded.slice_duration)


def test_modules_of_torch_shared_layers_and_tied_weights(tmp_path):
    model, inputs = sequences()
    folder = conductance.save(model, tmp_path / "saved")
    loaded = conductance.load(folder)
    assert_same(model, loaded, inputs)
    assert loaded[8] is loaded[9]
    assert loaded[10].weight is loaded[14].weight
    assert repr(loaded) == repr(model)
    # a gradient step moves both names of a tied weight
    with torch.no_grad():
        loaded[10].weight.add_(1)
    assert torch.equal(loaded[14].weight, model[14].weight + 1)


@given(family=st.sampled_from(["cwa", "affine_bn", "absnorm"]), dtype=st.sampled_from(["float16", "bfloat16"]))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rounded_weights_are_those_of_the_type_and_the_network_keeps_its_own(family, dtype, tmp_path):
    model = conductance.create_model("cnn", family, (1, 8, 8), widths=(4, 6))
    folder = conductance.save(model, tmp_path / "saved", dtype=dtype, overwrite=True)
    loaded = conductance.load(folder).state_dict()
    for name, value in model.state_dict().items():
        expected = value.to(getattr(torch, dtype)).to(value.dtype) if value.is_floating_point() else value
        assert torch.equal(loaded[name], expected)
        assert loaded[name].dtype == value.dtype


def test_loading_leaves_the_random_numbers_alone(tmp_path):
    folder = conductance.save(conductance.create_model("cnn", input_shape=(1, 8, 8), widths=(4,)), tmp_path / "a")
    before = torch.get_rng_state()
    conductance.load(folder)
    assert torch.equal(before, torch.get_rng_state())


def test_layers_in_other_hands_are_said_as_they_are_now(tmp_path):
    """What was set after a layer was made: valences, the leak, a gate's start."""
    layer = conductance.nn.CWALinear(4, 3, learn_resting=True, nonnegative="softplus")
    layer.set_valence([1, -0.4, -1, 0.5])
    layer.set_unit_valence([1, 0.3, -1])
    layer.leak.set_conductance(torch.tensor([0.5, 2.0, 0.01]))
    loaded = conductance.load(conductance.save(layer, tmp_path / "saved"))
    assert torch.equal(loaded.valence, layer.valence)
    assert torch.equal(loaded.unit_valence, layer.unit_valence)
    assert_same(layer, loaded, torch.rand(5, 4))


@pytest.mark.parametrize("wrap", [partial(torch.compile, backend="eager"), nn.DataParallel])
def test_a_wrapped_network_is_saved_as_what_it_was_made_of(wrap, tmp_path):
    model = nn.Sequential(conductance.nn.CWALinear(4, 3))
    folder = conductance.save(wrap(model), tmp_path / "saved")
    assert_same(model, conductance.load(folder), torch.rand(5, 4))
    other = nn.Sequential(conductance.nn.CWALinear(4, 3))
    assert conductance.load(folder, into=wrap(other)) is other
    assert torch.equal(other[0].g, model[0].g)


def test_deprecated_forms_are_loaded_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = conductance.nn.CWALinear(4, 3, nonnegative="exp")
    assert_same(model, conductance.load(conductance.save(model, tmp_path / "saved")), torch.rand(5, 4))


def test_a_hook_is_code_and_said_to_be_lost(tmp_path):
    model = nn.Sequential(conductance.nn.CWALinear(4, 3))
    model[0].register_forward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match="0 has a forward hook"):
        conductance.save(model, tmp_path / "saved")
    assert_same(model, conductance.load(tmp_path / "saved"), torch.rand(5, 4))


def test_pruned_layers_are_refused_until_pruning_is_permanent(tmp_path):
    from torch.nn.utils import prune

    model = nn.Sequential(conductance.nn.CWALinear(4, 3))
    prune.random_unstructured(model[0], "g", amount=0.5)
    with pytest.raises(InputError, match=r"prune\.remove"):
        conductance.save(model, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    prune.remove(model[0], "g")
    assert_same(model, conductance.load(conductance.save(model, tmp_path / "saved")), torch.rand(5, 4))


def test_another_process_loads_what_was_saved(tmp_path):
    """It needs none of the packages that extras bring but safetensors."""
    model, inputs = conductance.create_model("cnn", input_shape=(1, 8, 8), widths=(4,)), torch.rand(2, 1, 8, 8)
    folder = conductance.save(model, tmp_path / "saved")
    torch.save(inputs, tmp_path / "inputs.pt")
    script = (
        "import sys, torch, conductance\n"
        f"network = conductance.load({str(folder)!r})\n"
        f"torch.save(network(torch.load({str(tmp_path / 'inputs.pt')!r})), {str(tmp_path / 'outputs.pt')!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert not OF_EXTRAS & set(ran.stdout.split())
    assert torch.equal(torch.load(tmp_path / "outputs.pt"), model.eval()(inputs))


def test_what_is_known_is_kept(tmp_path):
    model = conductance.create_model("cnn", input_shape=(1, 8, 8), widths=(4,), num_classes=3)
    preprocessing = conductance.data.Preprocessing.fit(
        "whitened", torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    )
    folder = conductance.save(
        model,
        tmp_path / "saved",
        preprocessing=preprocessing,
        classes=["a", "b", "c"],
        input_shape=(1, 8, 8),
        accuracy={"test_accuracy": 12.5, "dataset": "digits"},
        command="python train.py",
        origin={"seed": 3},
    )
    known = about(folder)
    assert (known.network, known.whole, known.families) == ("CNN", True, ["affine", "cwa"])
    assert (known.classes, known.command, known.origin) == (["a", "b", "c"], "python train.py", {"seed": 3})
    assert known.accuracy == {"test_accuracy": 12.5, "dataset": "digits"}
    assert known.version == conductance.__version__
    loaded = conductance.load(folder)
    pixels = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(loaded(pixels), model.eval()(preprocessing(pixels)))
    again = conductance.load(conductance.save(loaded, tmp_path / "again"))
    assert torch.equal(again(pixels), loaded(pixels))
    assert again.classify(pixels) == loaded.classify(pixels)
    assert set(again.classify(pixels)) <= {"a", "b", "c"}
