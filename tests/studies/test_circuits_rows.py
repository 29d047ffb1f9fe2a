"""Recurrent layers that read rows: every layer runs, and the table and the page are of the rows."""

import pytest
import torch

from studies.circuits_rows import measure as study
from studies.circuits_rows.measure import Case, LastStep, markdown


@pytest.mark.parametrize("name", study.NETWORKS)
def test_every_layer_reads_rows(name):
    assert LastStep(study.NETWORKS[name]())(torch.rand(2, 8, 8)).shape == (2, 10)


def test_a_layer_learns_and_the_same_seed_gives_the_same_run(monkeypatch):
    monkeypatch.setattr(study, "EPOCHS", 1)
    found = study.train(Case("CWARNN, 10", 0))
    assert found["accuracy"] > 20  # 10 by chance
    assert study.train(Case("CWARNN, 10", 0)) == found


def test_the_table_has_means_and_the_lowest():
    rows = [{"network": "GRU", "accuracy": f"{accuracy}", "seconds": "3"} for accuracy in (90, 95)]
    assert markdown(rows).splitlines()[2:] == ["| GRU | 92.5 | 90.0 | 3 |"]
