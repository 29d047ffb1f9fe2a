"""Whatever a public function or constructor is given: it works, or says in one line what it wants."""

import inspect
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from conductance.errors import ConductanceError
from valid_calls import adapted, needed, public_callables

WRONG = {
    "None": None,
    "a word": "odd",
    "True": True,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "negative": -1,
    "0": 0,
    "a fraction": 2.5,
    "a large number": 10**30,
    "an empty list": [],
    "an array": np.ones(3),
    "a tensor": torch.ones(3),
    "a dictionary": {"a": 1},
    "an object": object(),
}
PUBLIC = public_callables()
LONG = {"transform.export_onnx", "transform.export_program"}
"""Each call that works takes a second."""

OTHERS_ANSWER = {
    (
        "optim.ConductanceOptimizer",
        "params",
    ): "torch.optim.Optimizer says what it takes",
    **{
        (f"sklearn.{name}", "random_state"): "scikit-learn says what it takes, as for its own estimators"
        for name in ("CWAClassifier", "CWARegressor")
    },
}
"""Arguments of which another library says what is wrong."""


def keywords_of(function):
    """The names of its arguments, except those that collect others."""
    collecting = (inspect.Parameter.VAR_KEYWORD,)
    return [each.name for each in inspect.signature(function).parameters.values() if each.kind not in collecting]


def complaint(call, keywords):
    """What a call raises that is no answer to a person; None where it works or answers in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(**keywords)
    except ConductanceError as error:
        return f"several lines: {error}" if "\n" in str(error) else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        plt.close("all")
    return None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in PUBLIC]
)
def test_a_wrong_argument_is_refused_in_one_line_or_does_no_harm(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = adapted(name, PUBLIC[name])
    assert complaint(call, needed(name, tmp_path)) is None
    found = {}
    for keyword in keywords_of(PUBLIC[name]):
        if keyword == "self" or (name, keyword) in OTHERS_ANSWER:
            continue
        for kind, value in WRONG.items():
            problem = complaint(call, {**needed(name, tmp_path), keyword: value})
            if problem is not None:
                found[f"{keyword}, {kind}"] = problem
    assert not found, "\n" + "\n".join(f"{where}: {problem[:150]}" for where, problem in found.items())
