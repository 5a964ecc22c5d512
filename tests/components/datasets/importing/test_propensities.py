import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.datasets.importing.mapping import ColumnRule
from components.datasets.importing.propensities import check_randomisation, guess_form
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError

RULE = ColumnRule(column="p")
SHARES = st.lists(st.floats(1e-4, 1), min_size=2, max_size=20)


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("propensity", ["0.5", "1"], "probability"),
        ("p", ["0,125", "0,25"], "probability"),
        ("log_propensity", ["-0.5", "-3"], "log"),
        ("log10_propensity", ["-0.5", "-3"], "log10"),
        ("log2_prob", ["-0.5", "-3"], "log2"),
        ("log10_propensity", ["0.5", "0.3"], OPEN),
        ("score", ["-0.5", "-3"], OPEN),
        ("prob", ["12.5%", "3%"], "percent"),
        ("prob_pct", ["12.5", "30"], "percent"),
        ("prob_pct", ["0.5", "0.3"], OPEN),
        ("ipw", ["1", "2.5"], "inverse"),
        ("ipw", ["0.5", "2.5"], OPEN),
        ("propensity", ["1.5", "20"], OPEN),
        ("propensity (%)", ["0.4", "0.9"], OPEN),
        ("propensity (%)", ["0.4", "19"], "percent"),
        ("propensity", ["0.25", "25", "0.4", "40"], OPEN),
        ("概率百分比", ["20", "80"], "percent"),
    ],
)
def test_the_form_is_seen_from_name_and_values_or_asked_for(name, values, form):
    assert guess_form(RULE, values, name).form == form


def test_per_cent_signs_on_some_rows_alone_are_refused():
    with pytest.raises(UserError, match=r"some propensities have a per cent sign and some, such as '0.25', have none"):
        guess_form(RULE, ["25%", "0.25"], "propensity")


@given(SHARES)
def test_no_form_is_taken_for_another(shares):
    written = {
        "probability": ("propensity", [repr(share) for share in shares]),
        "log": ("log_propensity", [repr(math.log(share)) for share in shares]),
        "inverse": ("ipw", [repr(1 / share) for share in shares]),
    }
    for form, (name, values) in written.items():
        assert guess_form(RULE, values, name).form in (form, OPEN)
    unnamed = guess_form(RULE, written["inverse"][1], "propensity").form
    assert unnamed == ("probability" if min(shares) == 1 else OPEN)


def test_a_randomisation_that_acted_is_believed_and_another_is_not():
    shown = {"c": {"a": 500, "b": 520}, "d": {"x": 10}}
    assert check_randomisation(shown, "uniform", "m") == {("c", "a"): 0.5, ("c", "b"): 0.5, ("d", "x"): 1.0}
    with pytest.raises(UserError, match=r"campaign c showed creative a in 20.0% of 1,000 impressions"):
        check_randomisation({"c": {"a": 200, "b": 800}}, "uniform", "m")
    with pytest.raises(UserError, match="no share for creative 'b'"):
        check_randomisation({"c": {"a": 1, "b": 2}}, {"a": 1.0}, "m")
    with pytest.raises(UserError, match="sum to 1"):
        check_randomisation({"c": {"a": 1, "b": 2}}, {"a": 0.7, "b": 0.7}, "m")
