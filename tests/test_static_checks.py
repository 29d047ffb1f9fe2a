"""What no line of the package does: read pickles of others, run text as code, or hand words to a shell."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("src", "studies", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

NEVER = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "marshal.loads",
    "yaml.load",
    "os.system",
    "os.popen",
    "shelve.open",
    "tempfile.mktemp",
    "extractall",
    "load_from_checkpoint",
}
NEEDS = {"torch.load": ("weights_only", True)}
"""What a call must say."""

REFUSES = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False}
"""What no call may say."""


def faults(source):
    """The calls in a source text that should not be there."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        said = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if name in NEVER or name.rpartition(".")[2] in NEVER - {"eval", "exec"}:
            yield name
        if name in NEEDS and said.get(NEEDS[name][0]) is not NEEDS[name][1]:
            yield f"{name} without {NEEDS[name][0]}"
        yield from (f"{name} with {word}={value}" for word, value in said.items() if REFUSES.get(word, ...) is value)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_does_none_of_these(file):
    assert not list(faults(file.read_text()))


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "pickle.load(file)",
        "eval(text)",
        "subprocess.run(words, shell=True)",
        "numpy.load(file, allow_pickle=True)",
        "archive.extractall(place)",
    ],
)
def test_each_of_them_would_be_noticed(source):
    assert list(faults(source))


def test_what_is_meant_is_none_of_them():
    assert not list(faults("torch.load(file, weights_only=True); model.eval(); subprocess.run(words, shell=False)"))
