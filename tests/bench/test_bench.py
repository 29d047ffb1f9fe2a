"""What the benchmarks report; how fast anything is, no test says."""

import json

import pytest
import torch

from conductance import bench, cli, kernels
from conductance.bench import bench_training, layers, take_turns, timing_rows
from conductance.bench.rounds import BASELINE
from conductance.errors import InputError

CPU = torch.device("cpu")


def test_everybody_takes_a_turn_in_each_round_and_one_before():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) for name in (BASELINE, "other")}
    timings = list(take_turns("case", contenders, 3, CPU))
    assert calls == [BASELINE, "other"] * 4
    assert [t.contender for t in timings] == [BASELINE, "other"]
    assert timings[0].ratio == 1
    assert all(t.low <= t.ratio <= t.high for t in timings)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("network", ["fcn", "cnn"])
def test_every_path_that_is_timed_computes_the_same(network):
    for case in layers.cases(network, 2, CPU):
        runs = layers.contenders(case)
        literal = layers._Literal(case.layer)(case.p if not case.layer.doubled_input else torch.cat([case.p] * 2, 1))
        for name in ("CWA formula", "CWA blocked"):
            runs[name]()
            torch.testing.assert_close(case.layer(case.p), literal, rtol=1e-4, atol=1e-5)
    kernels.use_average(None)


def test_the_table_ends_with_the_geometric_means():
    timings = list(bench_training(CPU, 2, {"fcn": 2}))
    rows = timing_rows(timings)
    assert len(rows) == 2 * len(timings)
    assert [row[0] for row in rows[len(timings) :]] == ["geometric mean"] * len(timings)


def test_too_few_rounds_are_refused():
    with pytest.raises(InputError, match="rounds=1"):
        cli.bench("training", rounds=1)


def test_figures_go_to_a_file_with_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "bench_training", lambda device, rounds: bench_training(device, rounds, {"fcn": 2}))
    cli.bench("training", rounds=2, json=tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {t["contender"] for t in figures["timings"]} >= {BASELINE, "CWA"}
    assert figures["hardware"]["threads"] == torch.get_num_threads()
