"""Names that are written in two ways are recognised, and what they differ in is said."""

import pytest

from components.evaluation.log_checks.matching import likely_cause, unmatched


@pytest.mark.parametrize(
    ("left", "right", "cause"),
    [
        ("11.0", "11", "how a number is written"),
        ("1e3", "1000", "how a number is written"),
        ("red ", "red", "blanks"),
        ("Red", "red", "capital letters"),
        ("007", "7", "number"),
        ('"red"', "red", "quotation marks"),
        ("e\u0301", "\u00e9", "Unicode"),
        (" Red", "red", "blanks, capital letters"),
    ],
)
def test_one_name_in_two_ways(left, right, cause):
    assert cause in likely_cause([left], [right])
    assert unmatched([left], ["other", right]) == [(left, right)]


@pytest.mark.parametrize(("left", "right"), [("red", "blue"), ("nan", "inf"), ("a1", "a2"), ("11", "12")])
def test_other_names_are_other_names(left, right):
    assert likely_cause([left], [right]) == "" and unmatched([left], [right]) == []
