"""What the benchmarks report; how fast anything is, no test says."""

import json

import pytest
import torch

from conductance import bench, cli, kernels
from conductance.bench import bench_device, bench_training, layers, precision, take_turns, timing_rows
from conductance.bench.memory import peak_bytes
from conductance.bench.products import floating_point_operations
from conductance.bench.rounds import BASELINE
from conductance.errors import ConductanceError, InputError

CPU = torch.device("cpu")


def test_everybody_takes_a_turn_in_each_round_and_one_before():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) for name in (BASELINE, "other")}
    timings = list(take_turns("case", contenders, 3, CPU))
    assert calls[:8] == [BASELINE, "other"] * 4
    assert [t.contender for t in timings] == [BASELINE, "other"]
    assert timings[0].ratio == 1
    assert all(t.low <= t.ratio <= t.high for t in timings)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("network", ["fcn", "cnn"])
def test_every_path_that_is_timed_computes_the_same(network):
    for case in layers.cases(network, 2, CPU):
        runs = layers.contenders(case)
        literal = layers._Literal(case.layer)(case.p if not case.layer.doubled_input else torch.cat([case.p] * 2, 1))
        for name in ("CWA formula", "CWA blocked", "CWA native"):
            runs[name]()
            off = 5e-4 if case.layer.doubled_input else 1e-5  # a doubled input learns by a rounded denominator
            torch.testing.assert_close(case.layer(case.p), literal, rtol=1e-4, atol=off)
    kernels.use_average(None)


def test_the_table_ends_with_the_geometric_means():
    timings = list(bench_training(CPU, 2, {"fcn": 2}))
    assert {timing.case for timing in timings} == {"fcn, batch 2, adam", "fcn, batch 2, muon"}
    contenders = list(dict.fromkeys(timing.contender for timing in timings))
    rows = timing_rows(timings)
    assert [row[:2] for row in rows[len(timings) :]] == [("geometric mean", name) for name in contenders]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"device": "gpu"}, "device='gpu'.* cpu or cuda"),
        ({"dtype": "tf32"}, "tf32.*NVIDIA"),
        ({"dtype": "float16"}, "unknown precision 'float16'"),
    ],
)
def test_what_the_machine_lacks_is_refused_before_work_starts(options, complaint, monkeypatch):
    monkeypatch.setitem(bench.BENCHMARKS, "layers", None)
    with pytest.raises(ConductanceError, match=complaint):
        bench.measure("layers", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="finds no GPU"):
        bench_device("cuda")


def test_precision_is_as_asked_inside_and_as_before_outside():
    before = torch.backends.cudnn.allow_tf32
    with precision("bfloat16", CPU):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16
    with precision("float32", CPU):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
    assert torch.backends.cudnn.allow_tf32 == before


def test_peak_memory_is_what_is_held_at_the_worst_moment():
    def run():
        a = torch.empty(1000)  # 4000 bytes
        b = torch.empty(2000)
        del a
        c = torch.empty(3000)
        return b, c

    assert peak_bytes(run, CPU) == 20000


def test_operations_are_those_of_the_products():
    layer, p = torch.nn.Linear(30, 20), torch.rand(10, 30)
    assert floating_point_operations(lambda: layer(p)) == 2 * 10 * 20 * 30
    with torch.inference_mode():
        assert floating_point_operations(lambda: layer(p)) == 2 * 10 * 20 * 30


def test_too_few_rounds_are_refused():
    with pytest.raises(InputError, match="rounds=1"):
        bench.measure("training", rounds=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("what", "dtype"),
    [
        *((what, "float32") for what in bench.BENCHMARKS),
        *(
            pytest.param(what, "bfloat16", marks=[] if what == "layers" else pytest.mark.slow)
            for what in bench.BENCHMARKS
        ),
    ],
)
def test_figures_go_to_a_file_with_where_they_come_from(what, dtype, tmp_path, monkeypatch):
    full, small = bench.BENCHMARKS[what], ({"fcn": 1}, "digits") if what == "presets" else ({"fcn": 2},)
    monkeypatch.setitem(bench.BENCHMARKS, what, lambda device, rounds: full(device, rounds, *small))
    cli.main(["bench", what, "--rounds", "2", "--dtype", dtype, "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert any(t["contender"].startswith("CWA") for t in figures["timings"])
    assert figures["dtype"] == dtype
    assert figures["hardware"]["threads"] == torch.get_num_threads()
    for timing in figures["timings"]:
        assert timing["product_rate"] > 0
        assert timing["megabytes"] > 0
        assert timing["contender"] != BASELINE or timing["ratio"] == timing["memory_ratio"] == 1
