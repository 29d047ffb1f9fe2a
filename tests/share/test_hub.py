"""Pushed to a server on this machine and loaded from there, in a process of its own that knows no other Hub."""

import os
import subprocess
import sys

import pytest
from hub_server import serving

pytest.importorskip("huggingface_hub")

SCRIPT = """
import torch, conductance
from torch import nn
from conductance.share.hub import HubMixin, push_to_hub

class Net(nn.Module, HubMixin):
    def __init__(self, units=5):
        super().__init__()
        self.hidden = nn.Linear(4, units)
        self.relu = nn.ReLU()
        self.readout = nn.Linear(units, 2)

    def forward(self, p):
        return self.readout(self.relu(self.hidden(p)))

p, images = torch.rand(6, 4), torch.rand(2, 1, 8, 8)
model = conductance.create_model("cnn", input_shape=(1, 8, 8), widths=(4, 6), num_classes=3)
print("commit", push_to_hub(model, "me/first", token="hf_x", classes=["a", "b", "c"]))
assert torch.equal(conductance.load("me/first")(images), model.eval()(images))

net = conductance.convert(Net(units=7), p, inplace=True).model.eval()
net.push_to_hub("me/own", token="hf_x")
back = Net.from_pretrained("me/own")
assert isinstance(back.hidden, conductance.nn.CWALinear) and torch.equal(net(p), back(p))
assert torch.equal(conductance.load("me/own", into=Net(units=7))(p), net(p))

net.save_pretrained("saved")
net.save_pretrained("saved")
assert torch.equal(Net.from_pretrained("saved")(p), net(p))

for wrong in (lambda: conductance.load("me/none"), lambda: push_to_hub(model, "a b/c", token="hf_x")):
    try:
        wrong()
        print("nothing is wrong")
    except conductance.ConductanceError as error:
        print("refused", str(error).replace(chr(10), "<line>"))
"""


def test_push_and_load(tmp_path):
    with serving() as (address, repositories):
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
        }
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stderr[-2000:]) == (0, ran.stderr[-2000:])
    commit, *refused = ran.stdout.splitlines()
    assert commit.startswith(f"commit {address}/me/first/commit/")
    assert [line.split()[0] for line in refused] == ["refused", "refused"]
    assert "me/none is no folder here" in refused[0]
    assert "a b/c" in refused[1]
    assert "<line>" not in ran.stdout
    files = {"README.md", "conductance.json", "model.safetensors"}
    assert repositories["me/first"].keys() == files
    assert repositories["me/own"].keys() == files | {"config.json"}
    assert b'conductance.load("me/first")' in repositories["me/first"]["README.md"]
    assert repositories["me/first"]["README.md"].startswith(b"---\nlibrary_name: conductance\n")


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    import conductance
    from conductance import extras

    def missing(module):
        raise ImportError(name=module)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(conductance.ConductanceError, match=r"pip install 'conductance\[hub\]'"):
        conductance.load("owner/name")
