"""What does not fit into memory is refused in one line before anything of it is made."""

import pytest
import torch

import conductance
from conductance import memory, nn
from conductance.bench.memory import peak_bytes
from conductance.memory import NotEnoughMemoryError, free_memory, in_bytes, require_memory

CPU = torch.device("cpu")


@pytest.fixture
def control_groups(tmp_path, monkeypatch):
    """Control groups of this process that allow what a test says: files by name."""

    def limit(**groups):
        monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
        lines = tmp_path / "cgroup"
        lines.write_text("0::/outer/inner\n")
        monkeypatch.setattr(memory, "_OF_THIS_PROCESS", lines)
        for group, files in groups.items():
            folder = {"outer": tmp_path / "outer", "inner": tmp_path / "outer/inner"}[group]
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name.replace("_", ".")).write_text(str(text))

    return limit


def test_the_narrowest_control_group_counts(control_groups):
    control_groups(
        inner={"memory_max": "max", "memory_current": 5},
        outer={"memory_max": 1000, "memory_current": 600, "memory_stat": "anon 1\ninactive_file 100\n"},
    )
    assert free_memory(CPU) == 500


def test_a_full_control_group_leaves_next_to_nothing(control_groups):
    control_groups(inner={"memory_max": 1000, "memory_current": 2000})
    assert free_memory(CPU) == 1


def test_what_does_not_fit_is_named_with_what_is_free_and_the_remedy(control_groups):
    control_groups(inner={"memory_max": 2 * 10**9, "memory_current": 10**9})
    with pytest.raises(NotEnoughMemoryError) as caught:
        require_memory(5 * 10**9, "a table", "give it fewer rows")
    assert str(caught.value) == "a table takes about 5 GB, but 1 GB of memory are free on cpu; give it fewer rows"
    require_memory(10**8, "a table", "give it fewer rows")
    require_memory(10**30, "a table", "give it fewer rows", "meta")


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.CWALinear(10**9, 10**9),
        lambda: nn.AbsNormLinear(10**9, 10**9),
        lambda: nn.CWAConv2d(10**6, 10**6, 99),
        lambda: nn.LateralLinear(10, 10, interneurons=1e15),
        lambda: nn.CWARNN(10, 10**9),
        lambda: nn.CWARNN(10**12, 10),
        lambda: nn.CWARNNCell(10, 10**9),
        lambda: conductance.create_model("fcn", "cwa", (1, 28, 28), 10, widths=(10**9, 10**9)),
    ],
)
def test_no_layer_is_begun_that_cannot_be_ended(make):
    def begin():
        with pytest.raises(NotEnoughMemoryError, match="of memory are free"):
            make()

    assert peak_bytes(begin, CPU) < 10**6


def test_sizes_are_for_people():
    assert [in_bytes(size) for size in (0, 999, 2048, 3.2e12, 5e17, 1e30)] == [
        "0 B",
        "999 B",
        "2.05 kB",
        "3.2 TB",
        "500 PB",
        "1.0e+15 PB",
    ]
