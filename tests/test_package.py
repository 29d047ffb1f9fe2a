"""The package as a newcomer meets it."""

import subprocess
import sys


def test_the_core_imports_torch_and_numpy_alone():
    """`pip install conductance` brings nothing else, so nothing else may be needed."""
    script = (
        "import sys, torch, numpy; before = set(sys.modules)\n"
        "import conductance, conductance.biophysics, conductance.models, conductance.nn\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    third_party = set(ran.stdout.split()) - set(sys.stdlib_module_names)
    assert "conductance" in third_party
    assert third_party <= {"conductance", "torch", "numpy"}


def test_the_example_of_the_package_runs():
    import conductance

    model = conductance.create_model("cnn", family="cwa", input_shape=(3, 32, 32), num_classes=10)
    assert sum(isinstance(m, conductance.nn.CWAConv2d) for m in model.modules()) == 5
