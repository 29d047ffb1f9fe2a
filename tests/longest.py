"""The test files that take longest, the longest first.

Several processes share the tests, a file at a time. When a long one starts last, the others wait for it.
"""

LONGEST_FIRST = (
    "docs/test_tutorials.py",
    "launch/test_local.py",
    "docs/test_site.py",
    "estimators/test_contract.py",
    "docs/test_output.py",
    "estimators/test_estimators.py",
    "tuning/test_search.py",
    "reproduction/test_reproduce.py",
    "cli/test_cli.py",
    "bench/test_gpu.py",
    "cli/test_several_processes.py",
    "runs/test_faults.py",
    "cli/test_numbers.py",
    "kernels/test_native.py",
    "runs/test_checkpoint_file.py",
    "transform/test_exported_networks.py",
    "studies/test_circuit_studies.py",
    "circuits/test_circuit_membranes.py",
    "runs/test_kills.py",
    "live/test_live_page.py",
    "biophysics/test_joined.py",
    "report/test_report_page.py",
    "biophysics/test_simulation.py",
    "training/test_sharded_training.py",
    "test_wheel.py",
    "test_printable.py",
)
