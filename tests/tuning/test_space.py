"""What can be searched, as it is written and as it is suggested."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductance.errors import ConductanceError
from conductance.presets import get_preset
from conductance.runs import RunConfig
from conductance.tuning.space import Choice, default_choices, read_choices, with_values

CONFIG = RunConfig("searched")
positive = st.floats(1e-6, 1e3).map(lambda value: float(f"{value:g}"))


class Suggestions:
    """In the place of Optuna's trial: suggests what a test has drawn, and checks what it is asked."""

    def __init__(self, share):
        self.share = share

    def suggest_float(self, _, low, high, log):
        return low * (high / low) ** self.share if log else low + self.share * (high - low)

    def suggest_int(self, _, low, high, log):
        assert not log
        return low + round(self.share * (high - low))

    def suggest_categorical(self, _, values):
        return values[min(int(self.share * len(values)), len(values) - 1)]


@given(st.tuples(positive, positive).filter(lambda ends: ends[0] < ends[1]), st.booleans(), st.floats(0, 1))
def test_a_range_is_read_as_it_is_written(ends, log, share):
    [choice] = read_choices([f"optimizer.learning-rate={ends[0]!r}:{ends[1]!r}{':log' if log else ''}"], CONFIG)
    assert choice == Choice("optimizer.learning_rate", *ends, log)
    assert read_choices([str(choice)], CONFIG) == [choice]
    value = choice.suggest(Suggestions(share))
    assert ends[0] * (1 - 1e-9) <= value <= ends[1] * (1 + 1e-9)
    assert with_values(CONFIG, {choice.field: value}).optimizer.learning_rate == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("optimizer.name=adam,muon", ("adam", "muon")),
        ("data.batch-size=50,100", (50, 100)),
        ("optimizer.momentum=None,0.9", (None, 0.9)),
        ("conductance.twin=true,False", (True, False)),
        ("--model.family=cwa,affine", ("cwa", "affine")),
    ],
)
def test_values_have_the_type_of_the_option(text, values):
    [choice] = read_choices([text], CONFIG)
    assert choice.values == values
    assert [type(value) for value in choice.values] == [type(value) for value in values]


def test_whole_numbers_stay_whole():
    [choice] = read_choices(["data.batch-size=20:200"], CONFIG)
    assert isinstance(choice.suggest(Suggestions(0.3)), int)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "optimizer.learnig-rate=1:2",
            "unknown option to search 'optimizer.learnig-rate'; did you mean 'optimizer.learning-rate'",
        ),
        ("seed=0:9", "unknown option to search 'seed'"),
        ("data.validation-images=1:9", "unknown option to search"),
        ("optimizer.learning-rate", "leaves no choice"),
        ("optimizer.learning-rate=2", "leaves no choice"),
        ("optimizer.learning-rate=2:1", "the range must go up"),
        ("optimizer.learning-rate=0:1:log", "the range must go up, from above 0"),
        ("optimizer.learning-rate=0:1", r"optimizer\.learning_rate=0\.0: must be positive"),
        ("optimizer.name=adam,adamw", r"unknown optimizer\.name 'adamw'"),
        ("optimizer.name=1:2", "is no number; write optimizer.name=A,B,C"),
        ("data.batch-size=0.5:2", "data.batch-size is a whole number"),
        ("data.batch-size=5,many", "many is no value of this option"),
        ("conductance.twin=yes,no", "write True or False"),
    ],
)
def test_a_mistake_is_told_in_one_line(text, complaint):
    with pytest.raises(ConductanceError, match=complaint) as raised:
        read_choices([text], CONFIG)
    assert "\n" not in str(raised.value)


def test_an_option_is_searched_once():
    with pytest.raises(ConductanceError, match="an option is given twice"):
        read_choices(["optimizer.momentum=0.1:0.2", "optimizer.momentum=0.8,0.9"], CONFIG)


@pytest.mark.parametrize("preset", ["digits-fcn-cwa", "cifar10-cnn-affine_bn"])
def test_the_default_is_around_the_preset(preset):
    config = get_preset(preset)
    rates = {choice.field: choice for choice in default_choices(config)}
    assert set(rates) == {"optimizer.learning_rate", "optimizer.readout_learning_rate"}
    rate = rates["optimizer.learning_rate"]
    assert (rate.low * rate.high) ** 0.5 == pytest.approx(config.optimizer.learning_rate)
    assert re.search(r"=[\d.e-]+:[\d.e-]+:log$", str(rate))
