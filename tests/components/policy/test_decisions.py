"""The ad server's table: averages of the evaluated policy per cell, by hand."""

import numpy as np
import pandas as pd
import pytest

from components.policy.decisions import CELL, decisions

IMPRESSIONS = pd.DataFrame(
    {
        "impression_id": ["i1", "i2", "i3"],
        "segment": [0, 0, 1],
        "placement": ["top", "top", None],
        "campaign": ["c", "c", "c"],
    }
)
PAIRS = pd.DataFrame(
    {"impression_id": ["i1", "i1", "i2", "i2", "i3", "i3"], "creative_id": ["a", "b", "a", "c", "b", "c"]}
)
PROBABILITY = np.array([0.8, 0.2, 0.6, 0.4, 0.5, 0.5])


def test_a_cell_is_the_mean_over_its_impressions():
    table = decisions(IMPRESSIONS, PAIRS, PROBABILITY, None, 0.0)
    top = table[table["segment"] == 0].set_index("creative_id")["probability"]
    assert top.to_dict() == pytest.approx({"a": 0.7, "c": 0.2, "b": 0.1})
    assert table[table["segment"] == 1]["placement"].tolist() == ["any", "any"]
    assert table["impressions"].tolist() == [2, 2, 2, 1, 1]


def test_new_creatives_share_the_exploration_evenly():
    pool = pd.DataFrame({"creative_id": ["n1", "n2", "n3"], "campaign": ["c", "c", "elsewhere"]})
    table = decisions(IMPRESSIONS, PAIRS, PROBABILITY, pool, 0.1)
    new = table[table["creative_id"].str.startswith("n")]
    assert set(new["creative_id"]) == {"n1", "n2"}
    assert new["probability"].to_numpy() == pytest.approx(0.05)
    assert table.groupby(CELL)["probability"].sum().to_numpy() == pytest.approx(1.0)
