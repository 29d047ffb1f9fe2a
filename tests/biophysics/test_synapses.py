"""Synapse classes: names to reversal potentials."""

import pytest

from conductance.biophysics import (
    AMPA,
    GABA_A,
    GABA_B,
    LEAK,
    NMDA,
    SYNAPSE_CLASSES,
    reversal_potentials,
)
from conductance.errors import UnknownNameError


def test_the_textbook_order():
    """Potassium lies below chloride, chloride below rest, rest below the cations' reversal potential."""
    potentials = [each.reversal_potential for each in (GABA_B, GABA_A, LEAK, AMPA)]
    assert potentials == [-90, -70, -65, 0]
    assert NMDA.reversal_potential == AMPA.reversal_potential


@pytest.mark.parametrize("name", SYNAPSE_CLASSES)
def test_each_is_found_by_its_name_and_says_where_it_comes_from(name):
    assert SYNAPSE_CLASSES[name].name == name
    assert SYNAPSE_CLASSES[name].reference


def test_one_reversal_potential_for_each_presynaptic_neuron_in_order():
    assert reversal_potentials(["GABA-A", "AMPA", "GABA-B", "AMPA"]).tolist() == [-70, 0, -90, 0]


def test_an_unknown_class_is_named_with_its_nearest():
    with pytest.raises(UnknownNameError, match="unknown synapse class 'GABAA'; did you mean 'GABA-A'"):
        reversal_potentials(["AMPA", "GABAA"])
