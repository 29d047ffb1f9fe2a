"""A checkpoint that is not as it was written is refused before any of it is used."""

import io
import pickle
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductance.errors import RunError
from conductance.runs import checkpoint
from memory import at_most
from tiny_runs import lines, run, tiny, weights

STATE = {"network": {"a": torch.arange(64.0), "b": torch.ones(3, dtype=torch.int64)}, "metrics": [], "stopped": False}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.write(path, STATE)
    return path


def test_what_is_written_is_read(file):
    state = checkpoint.read(file)
    assert torch.equal(state["network"]["a"], STATE["network"]["a"])
    file.write_bytes(b"")  # nothing is read from the file any more
    assert state["network"]["a"].sum() == STATE["network"]["a"].sum()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_bit_that_changes_is_noticed(data, file):
    """torch itself reads such tensors without a word."""
    checkpoint.write(file, STATE)
    with zipfile.ZipFile(file) as archive:
        parts = [part for part in archive.infolist() if "/data/" in part.filename or part.filename.endswith("data.pkl")]
        part = data.draw(st.sampled_from(parts))
        begin = archive.fp.seek(part.header_offset + 26) and int.from_bytes(archive.fp.read(2), "little")
        begin += part.header_offset + 30 + int.from_bytes(archive.fp.read(2), "little")
    contents = bytearray(file.read_bytes())
    contents[begin + data.draw(st.integers(0, part.file_size - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(contents)
    with pytest.raises(RunError, match=r"is damaged \(a checksum is wrong\); delete .* to start this run again"):
        checkpoint.read(file)


def test_a_part_that_would_unfold_is_refused(file):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(200 << 20))
    with at_most(5), pytest.raises(RunError, match="compressed, which torch never does"):
        checkpoint.read(file)


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(file):
    """Its values would be whatever lies behind it in memory."""
    with zipfile.ZipFile(file) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    name = next(name for name in parts if name.endswith("data.pkl"))
    assert b"K@" in parts[name]  # 64 numbers
    parts[name] = parts[name].replace(b"K@", b"J\x00\x00\x00\x10")
    with zipfile.ZipFile(file, "w") as archive:
        for each, contents in parts.items():
            archive.writestr(each, contents)
    with pytest.raises(RunError, match="is damaged"):
        checkpoint.read(file)


@pytest.mark.parametrize("contents", [pickle.dumps(STATE["metrics"]), b"PK\x03\x04", bytes(100)])
def test_no_other_format_is_read(contents, file):
    file.write_bytes(contents)
    with pytest.raises(RunError, match="is damaged"):
        checkpoint.read(file)


def without(part):
    return lambda state: {name: value for name, value in state.items() if name != part}


def changed(*path, to):
    def change(state):
        inside = state
        for name in path[:-1]:
            inside = inside[name]
        inside[path[-1]] = to(inside[path[-1]]) if callable(to) else to
        return state

    return change


ALTERED = {
    "no optimizer": without("optimizer"),
    "weights of another shape": changed("network", "hidden.0.g", to=lambda g: g[:1]),
    "weights that are NaN": changed("network", "hidden.0.g", to=lambda g: g * float("nan")),
    "weights of whole numbers": changed("network", "hidden.0.g", to=lambda g: g.long()),
    "weights that are none": changed("network", "hidden.0.g", to=5),
    "momentum of another shape": changed("optimizer", "state", 0, to=lambda s: {k: v[:1] for k, v in s.items()}),
    "momentum that is NaN": changed("optimizer", "state", 0, to=lambda s: {k: v * float("nan") for k, v in s.items()}),
    "no momentum": changed("optimizer", "state", 0, to={}),
    "momentum of no parameter": changed("optimizer", "state", 99, to={}),
    "groups of another size": changed("optimizer", "param_groups", to=lambda groups: groups[:1]),
    "a step size in words": changed("optimizer", "param_groups", 0, "lr", to="fast"),
    "a step size that is NaN": changed("optimizer", "param_groups", 0, "lr", to=float("nan")),
    "a schedule in words": changed("protocol", "last_epoch", to="late"),
    "an order of minus one": changed("loader", "epoch", to=-1),
    "no random numbers": changed("random", to={}),
    "metrics that are none": changed("metrics", to=[5]),
    "metrics of another epoch": changed("metrics", 0, "epoch", to=7),
    "too many metrics": changed("metrics", to=lambda metrics: metrics * 9),
    "neither stopped nor not": changed("stopped", to="x"),
    "a list": lambda state: list(state),
}


@pytest.mark.parametrize("change", ALTERED)
def test_a_checkpoint_whose_contents_are_altered_is_one_line_or_does_no_harm(change, interrupted, tmp_path):
    folder = interrupted(tiny(), epoch=2)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    if change == "momentum of no parameter":
        state["optimizer"]["state"][99] = None
    stream = io.BytesIO()
    torch.save(ALTERED[change](state), stream)
    (folder / "checkpoint.pt").write_bytes(stream.getvalue())
    if change == "no momentum":  # which an optimizer begins anew
        run(tiny(), folder, resume=True)
        return
    with pytest.raises(RunError, match=r"(checkpoint\.pt|delete it) to start this run again") as raised:
        run(tiny(), folder, resume=True)
    assert "\n" not in str(raised.value)
    (folder / "checkpoint.pt").unlink()
    run(tiny(), folder, resume=True)
    run(tiny(), tmp_path / "whole")
    assert (lines(folder), weights(folder)) == (lines(tmp_path / "whole"), weights(tmp_path / "whole"))
