"""Configs: round trips, and values that mean nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductance.errors import InputError
from conductance.printable import is_printable
from conductance.runs.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    ProtocolConfig,
    RunConfig,
    TeacherConfig,
    config_from_dict,
)
from tiny_runs import tiny

shares = st.floats(0, 1)
steps = st.floats(1e-6, 10)
counts = st.integers(1, 1000)
configs = st.builds(
    RunConfig,
    name=st.text().filter(is_printable),
    epochs=counts,
    seed=st.integers(0, 2**32 - 1),
    precision=st.sampled_from(["no", "bf16", "fp16"]),
    accumulate=counts,
    model=st.builds(
        ModelConfig,
        family=st.sampled_from(["cwa", "absnorm"]),
        widths=st.none() | st.lists(counts, min_size=1, max_size=4).map(tuple),
        shortcut=st.sampled_from([None, "sum", "mean"]),
    ),
    conductance=st.builds(
        ConductanceConfig,
        nonnegative=st.sampled_from(["rectified", "softplus", "clamped"]),
        activation=st.sampled_from(["relu", "full_range"]),
        twin=st.booleans(),
        pooled_interneuron=st.booleans(),
        sigma=steps,
        resting_conductance=st.sampled_from([0, 1, 0.5]),
    ),
    data=st.builds(DataConfig, batch_size=counts, validation_images=counts),
    optimizer=st.builds(
        OptimizerConfig, learning_rate=steps, betas=st.tuples(st.floats(0, 0.999), st.just(0)), label_smoothing=shares
    ),
    teacher=st.builds(TeacherConfig, run=st.none() | st.text().filter(is_printable), share=shares, temperature=steps),
    protocol=st.builds(ProtocolConfig, name=st.sampled_from(["onecycle", "paper"]), warmup=shares, patience=counts),
)


@given(configs)
def test_a_config_survives_json(config):
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(configs)
def test_a_config_that_0_1_wrote_is_read_as_todays(config):
    old = json.loads(json.dumps(config.to_dict()))
    del old["data"]["image_size"]
    old["optimizer"]["centred"] = old["optimizer"].pop("centered")
    for field, (then, now) in {"nonnegative": ("projected", "clamped"), "activation": ("uncut", "full_range")}.items():
        if old["conductance"][field] == now:
            old["conductance"][field] = then
    assert config_from_dict(old) == config


@pytest.mark.parametrize("family", ["cwa_li", "affine", "affine_bn"])
def test_families_without_pooled_interneurons_refuse_them(family):
    with pytest.raises(InputError, match=f"the layers of {family} have none; choose the family cwa"):
        RunConfig("a", model=ModelConfig(family=family), conductance=ConductanceConfig(pooled_interneuron=True))


def test_a_field_of_another_version_is_named():
    values = tiny().to_dict()
    values["data"]["bath_size"] = values["data"].pop("batch_size")
    with pytest.raises(InputError, match="DataConfig has no field bath_size; another version"):
        config_from_dict(values)
    del values["data"]["bath_size"]
    with pytest.raises(InputError, match="DataConfig lacks the field batch_size; another version"):
        config_from_dict(values)


def test_a_whole_number_is_read_as_the_real_number_it_stands_for():
    values = json.loads(json.dumps(tiny().to_dict()))
    values["optimizer"]["learning_rate"] = 1
    assert type(config_from_dict(values).optimizer.learning_rate) is float
