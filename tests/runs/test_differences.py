"""Nested settings, field by field."""

from conductance.runs.differences import differing_fields, flat_fields

SETTINGS = {"seed": 0, "model": {"widths": (8, 4)}, "data": {"dataset": "digits"}, "teacher": None}


def test_a_field_is_named_by_its_place_and_tuples_are_lists():
    assert flat_fields(SETTINGS) == {"seed": 0, "model.widths": [8, 4], "data.dataset": "digits", "teacher": None}


def test_what_json_made_of_settings_does_not_differ_from_them():
    assert differing_fields(SETTINGS, {**SETTINGS, "model": {"widths": [8, 4]}}) == {}


def test_differences_are_in_order_and_a_missing_field_is_none():
    other = {"seed": 1, "model": {"widths": (8, 4), "kernel": 5}, "teacher": None}
    assert list(differing_fields(SETTINGS, other).items()) == [
        ("data.dataset", ("digits", None)),
        ("model.kernel", (None, 5)),
        ("seed", (0, 1)),
    ]
