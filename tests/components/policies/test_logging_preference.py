"""What the shop's own policy prefers, and that a policy never leans on a log that it wrote."""

import numpy as np
import pandas as pd
import pytest

from components.policies.logging_preference import logging_policy_name, logging_preference

CREATIVES = pd.DataFrame({"creative_id": ["a", "b", "never"]})
CANDIDATES = pd.DataFrame(
    {
        "impression_id": ["i1", "i1", "i2", "i2"],
        "creative_id": ["a", "b", "a", "b"],
        "propensity": [0.75, 0.25, 0.5, 0.5],
    }
)
TABLES = {"creatives": CREATIVES, "candidates": CANDIDATES}


def logged_by(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"impression_id": [f"i{number + 1}" for number in range(len(names))], "logging_policy": names})


def test_it_is_the_mean_log_of_the_propensity_over_an_even_share():
    found = logging_preference(TABLES, logged_by("shop", "shop"))
    assert found["a"] == pytest.approx(np.log(1.5) / 2)
    assert found["b"] == pytest.approx(np.log(0.5) / 2)
    assert found["never"] == 0.0


def test_rows_that_a_policy_of_adloom_wrote_do_not_count():
    own = f"{logging_policy_name('ab' * 32)}-table"
    assert logging_preference(TABLES, logged_by(own, "shop")).to_dict() == {"a": 0.0, "b": 0.0, "never": 0.0}
    assert (logging_preference(TABLES, logged_by(own, own)) == 0).all()


def test_without_the_whole_distribution_nothing_is_preferred():
    assert (logging_preference({"creatives": CREATIVES}, logged_by("shop", "shop")) == 0).all()


def test_actions_that_were_never_possible_tell_nothing():
    tables = {**TABLES, "candidates": CANDIDATES.assign(propensity=[1.0, 0.0, 0.5, 0.5])}
    assert np.isfinite(logging_preference(tables, logged_by("shop", "shop"))).all()
