"""The product writes nothing into the folder it is used in, unless it is told a folder."""

import os
import subprocess
import sys
from pathlib import Path

IMPORT_ALL = """
import importlib, pkgutil, conductance
for module in pkgutil.walk_packages(conductance.__path__, "conductance."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

USE = """
import torch
from torch.nn import functional as F
from conductance import create_model, init, optim, presets
from conductance.analysis import observe
from conductance.biophysics import simulate, to_biophysical
from conductance.data import load_dataset
from conductance.report import markdown_table, summarize
from conductance.transform import freeze

dataset = load_dataset("digits")
images = dataset.train.pixels[:20].float() / 255
model = create_model("cnn", family="cwa", input_shape=(1, 8, 8), num_classes=10, widths=(4, 4))
init.initialize(model, images)
optimizer = optim.create_optimizer(model)
F.cross_entropy(model(images), dataset.train.labels[:20]).backward()
optimizer.step()
model.eval()
assert len(list(observe(model, images))) == 2
assert freeze(model)(images).shape == (20, 10)
simulate(to_biophysical(model, images=images), images[:2], 2.0)
assert markdown_table(summarize([])).startswith("| Data")
assert presets.get_preset("digits-cnn-cwa").name == "digits-cnn-cwa"
"""


def left_in(folder: Path, script: str) -> list[str]:
    """What a script leaves in the folder that it runs in."""
    source = Path(__file__).parent.parent / "src"
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return os.listdir(folder)


def test_importing_every_module_leaves_the_folder_empty(tmp_path):
    assert left_in(tmp_path, IMPORT_ALL) == []


def test_using_the_product_leaves_the_folder_empty(tmp_path):
    assert left_in(tmp_path, USE) == []
