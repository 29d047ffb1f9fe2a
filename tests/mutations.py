"""Files of real runs, changed at random, and the commands that read them: each must work, or say one line.

``make mutate`` runs it at length; `tests/test_mutations.py` runs a few. A failure prints the seed that repeats it.
"""

import argparse
import contextlib
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

import conductance
from conductance import cli
from conductance.files import write_json
from conductance.launch.processes import Process
from conductance.launch.tickets import Ticket, Tickets

PATIENCE = 120
"""Seconds after which a command hangs."""


class Hangs(BaseException):
    """A command does not come to an end."""


# Values -------------------------------------------------------------------------------------------------------------

MARK = "<a number of five thousand digits>"
DEEP = "<a hundred thousand lists>"
PLAIN = (
    None, True, False, 0, 1, -1, 5, 3.7, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**25,
    float("nan"), float("inf"), -float("inf"),
    "", "x", "cwa", "folder", "mnist", "None", "../..", "a\nb", "\x1b[2J", "=1+1",
    "\ud800", "\u202e", "é" * 300, "$x^$", "{}", "[red]", "<script>", "|", MARK, DEEP,
    [], [[]], {}, {"": {}}, [1, [2]], [None],
    [float("nan")] * 3, list(range(100)), [1e308] * 4, {"a": 1}, "\x00", "2" * 50, "%s %d", "C:\\", "-x",
)  # fmt: skip


def json_text(value):
    """JSON with what Python's own writer would not write."""
    text = json.dumps(value)
    return text.replace(json.dumps(MARK), "9" * 5000).replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000)


def tensors_like(value, draw):
    """Tensors of other shapes, types and values."""
    return draw.choice([
        lambda: value.new_zeros(0), lambda: value.flatten(), lambda: value[None], lambda: value.double(),
        lambda: value.long(), lambda: value.bool(), lambda: value.half(), lambda: value.to(torch.complex64),
        lambda: torch.full_like(value.float(), float("nan")), lambda: torch.full_like(value.float(), float("inf")),
        lambda: -value.float() * 1e30, lambda: torch.zeros_like(value), lambda: torch.ones(3, 3),
        lambda: torch.tensor(1.0),
        lambda: torch.cat([value.flatten(), value.flatten()]), lambda: value.float().expand(2, *value.shape),
        lambda: torch.rand(value.shape[::-1]),
    ])()  # fmt: skip


def places(value, path=()):
    """All places in nested dicts, lists and tuples."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for name, part in parts:
        yield from places(part, (*path, name))


def changed(value, path, change):
    """Nested values with one place changed; a change that gives `GONE` removes it."""
    if not path:
        return change(value)
    name, *rest = path
    if isinstance(value, dict):
        parts = {key: changed(part, rest, change) if key == name else part for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not GONE}
    parts = [changed(part, rest, change) if number == name else part for number, part in enumerate(value)]
    return type(value)(part for part in parts if part is not GONE)


GONE = object()


def altered(value, draw):
    """Nested values with one place, or a few, changed."""
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        everywhere = list(places(value))
        depth = draw.randrange(1 + max(map(len, everywhere)))  # large lists would draw all changes
        path = draw.choice([place for place in everywhere if len(place) >= depth] or everywhere)[: depth or None]
        kind = draw.random()

        def change(old, kind=kind, path=path):
            if kind < 0.15 and path:
                return GONE
            if isinstance(old, torch.Tensor) and kind < 0.8:
                return tensors_like(old, draw)
            if isinstance(old, dict) and kind < 0.4:
                return {**old, draw.choice(["x", "state", "0", "seed", ""]): draw.choice(PLAIN)}
            if isinstance(old, list) and kind < 0.5:
                return draw.choice([old[:-1], old * 2, [*old, draw.choice(PLAIN)], old[::-1]])
            if isinstance(old, (int, float)) and not isinstance(old, bool) and kind < 0.4:
                return draw.choice([-old, old + 1, old * 10**9, old / 3, str(old), [old]])
            return draw.choice(PLAIN)

        value = changed(value, path, change)
        if not isinstance(value, (dict, list)) or not value:
            break
    return value


# Files --------------------------------------------------------------------------------------------------------------


def raw(contents, draw):
    """Bytes that are changed, cut, doubled or replaced."""
    kind, place = draw.randrange(8), draw.randrange(len(contents) or 1)
    if kind < 4:
        flipped = bytearray(contents)
        for _ in range(draw.choice([1, 1, 3, 20])):
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        return bytes(flipped)
    if kind == 4:
        return contents[:place]
    if kind == 5:
        return contents[:place] + draw.randbytes(draw.choice([1, 8, 100])) + contents[place:]
    if kind == 6:
        return contents[place:] + contents[:place]
    whole = [
        b"",
        b"5",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"[" * 100_000,
        b"\xff\xfe",
        b"\xef\xbb\xbf" + contents,
        b"\0" * 4096,
    ]
    return draw.choice(whole)


def change_json(path, draw):
    path.write_text(json_text(altered(json.loads(path.read_text()), draw)), errors="surrogatepass")


def change_lines(path, draw):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed_lines = altered(lines, draw)
    lines = changed_lines if isinstance(changed_lines, list) else [changed_lines]
    path.write_text("".join(json_text(line) + "\n" for line in lines), errors="surrogatepass")


def change_safetensors(path, draw):
    tensors = altered(safetensors.torch.load_file(path), draw)
    kept = {name: value.contiguous() for name, value in tensors.items() if isinstance(value, torch.Tensor)}
    path.write_bytes(safetensors.torch.save({name: value.clone() for name, value in kept.items()}))


def change_checkpoint(path, draw):
    torch.save(altered(torch.load(path, weights_only=True), draw), path)


def change_predictions(path, draw):
    with np.load(path) as saved:
        arrays = {name: saved[name] for name in saved.files}
    name = draw.choice(sorted(arrays))
    changes = [
        lambda array: array[:-1], lambda array: array[None], lambda array: array.astype(float),
        lambda array: array.astype("U3"),
        lambda array: array.astype(">i8"), lambda array: array.astype(bool), lambda array: -array.astype(np.int64),
        lambda array: array.astype(np.int64) + 10**12, lambda array: array[:0], np.sum,
    ]  # fmt: skip
    arrays[name] = draw.choice(changes)(arrays[name])
    if draw.random() < 0.2:
        arrays[draw.choice(["more", "predicted"])] = arrays.pop(name)
    np.savez_compressed(path, **arrays)


CHANGES = {
    ".json": change_json,
    ".jsonl": change_lines,
    ".safetensors": change_safetensors,
    ".pt": change_checkpoint,
    ".npz": change_predictions,
}


def mutate(folder, draw):
    """Change one file, or two, of a folder; says what was done."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in CHANGES)
    done = []
    for _ in range(draw.choice([1, 1, 1, 2])):
        file = draw.choice(files)
        kind = draw.random()
        try:
            if kind < 0.05:
                file.unlink()
            elif kind < 0.35:
                file.write_bytes(raw(file.read_bytes(), draw))
            else:
                CHANGES[file.suffix](file, draw)
        except Exception:
            continue  # a change of a change, which nobody can read, or write
        done.append(f"{'removed' if kind < 0.05 else 'bytes' if kind < 0.35 else 'values'} {file.name}")
    return ", ".join(done)


TRAINED = "--device cpu --epochs 2 --model.widths 8 8 --name tiny --seed 3"
"""Options of the runs that are changed."""


# Commands -----------------------------------------------------------------------------------------------------------


def commands(draw):
    """Words of a command that reads FOLDER and may write into OUT, and the kind of folder that it reads."""
    resume = f"train digits-fcn-cwa --out FOLDER --resume {TRAINED}"
    return draw.choices(
        [
            ("finished", "report FOLDER --out OUT/r.csv"),
            ("finished", "report FOLDER --out OUT/r.md"),
            ("finished", "report FOLDER --out OUT/r.html"),
            ("finished", "report FOLDER OTHER --out OUT/r.csv"),
            ("finished", "evaluate FOLDER"),
            ("finished", "check FOLDER --images 50"),
            ("finished", "simulate FOLDER --images 2 --duration 3 --out OUT"),
            ("finished", "save FOLDER --out OUT/saved"),
            ("finished", "export FOLDER --out OUT/t.csv"),
            ("finished", resume),
            ("unfinished", resume),
            ("unfinished", "report FOLDER OTHER --out OUT/r.csv"),
            ("saved", "evaluate FOLDER"),
            ("saved", "check FOLDER --images 50"),
            ("saved", "export FOLDER --out OUT/t.csv"),
            ("recurrent", "check FOLDER"),
            ("launched", "status FOLDER"),
            ("launched", "status FOLDER --json"),
            ("launched", "report FOLDER --out OUT/r.csv"),
        ],
        weights=[6, 2, 1, 2, 6, 3, 0.5, 2, 3, 3, 10, 2, 6, 2, 2, 4, 4, 2, 1],
    )[0]


def originals(place):
    """One folder of each kind, of a network that the command ``train`` trains again."""
    finished, unfinished = place / "finished", place / "unfinished"
    words = ["train", "digits-fcn-cwa", *TRAINED.split()]
    command([*words, "--out", str(finished)])
    with contextlib.suppress(KeyboardInterrupt), _stopped_after_an_epoch():
        command([*words, "--out", str(unfinished)])
    command(["save", str(finished), "--out", str(place / "saved")])
    shutil.copytree(finished, place / "other")
    config = json.loads((place / "other/config.json").read_text())
    write_json(place / "other/config.json", {**config, "seed": 4})
    assert (unfinished / "checkpoint.pt").exists()
    conductance.save(conductance.nn.CWARNN(4, 3), place / "recurrent")
    shutil.copytree(unfinished, place / "launched/a")
    write_json(place / "launched/a/failure.json", {"kind": "RunError", "error": "a reason"})
    process = Process("elsewhere", 12345, "once")
    Tickets(place / "launched").write(Ticket("a", "tiny", 3, 2, "local", "7", process, "somebody", "jobs/a.log"))
    return {name: place / name for name in ("finished", "unfinished", "saved", "other", "recurrent", "launched")}


@contextlib.contextmanager
def _stopped_after_an_epoch():
    from conductance.runs.folder import RunFolder

    write = RunFolder.write_epoch

    def write_and_stop(self, *arguments):
        write(self, *arguments)
        raise KeyboardInterrupt

    RunFolder.write_epoch = write_and_stop
    try:
        yield
    finally:
        RunFolder.write_epoch = write


def command(words):
    """Run a command in this process: its exit status, what it printed, and what it complained of."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        try:
            cli.main(words)
            status = 0
        except SystemExit as end:
            status = end.code or 0
    return status, out.getvalue(), err.getvalue()


def fault(words):
    """What is wrong with how a command ends; None where it works, or says one line."""

    def give_up(*_):
        raise Hangs

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        status, _, said = command(words)
    except Hangs:
        return f"still running after {PATIENCE} s"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
    if status == 2 and (len(lines) != 1 or not lines[0].startswith("error: ") or len(lines[0]) > 1500):
        return f"not one line: {said[:3000]}"
    if status not in (0, 1, 2) or (status != 2 and lines):
        return f"status {status}, {said[:3000]}"
    if any(ord(character) < 32 for line in said.splitlines() for character in line):
        return f"control characters: {said[:300]!r}"
    return None


def one(seed, folders, place):
    """One mutation: what was run on what, and the fault or None."""
    draw = random.Random(seed)
    kind, template = commands(draw)
    folder, out = place / "mutated", place / "out"
    for old in (folder, out):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folders[kind], folder)
    out.mkdir()
    done = mutate(folder, draw)
    names = {"FOLDER": str(folder), "OUT": str(out), "OTHER": str(folders["other"])}
    words = template.split()
    for name, path in names.items():
        words = [word.replace(name, path) for word in words]
    return f"{template.split(' --')[0]} of {kind}: {done}", fault(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found, kinds = 0, Counter()
    with tempfile.TemporaryDirectory() as place:
        folders = originals(Path(place))
        for seed in range(chosen.seed, chosen.seed + chosen.count):
            told, wrong = one(seed, folders, Path(place))
            if wrong is not None:
                found += 1
                kinds[wrong.strip().splitlines()[-1][:120]] += 1
                print(f"seed {seed}: {told}\n{wrong}", flush=True)
            if (seed + 1) % 1000 == 0:
                print(f"{seed + 1 - chosen.seed} mutations, {found} faults", flush=True)
    print(f"{chosen.count} mutations from seed {chosen.seed} on: {found} faults")
    for kind, times in kinds.most_common():
        print(f"{times:6} {kind}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
