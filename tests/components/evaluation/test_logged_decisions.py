"""Tables of the contract become logged decisions."""

import numpy as np
import pandas as pd

from components.evaluation.logged_decisions import logged_decisions

START = pd.Timestamp("2026-03-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)


def two_rows(creatives, **columns):
    impressions = pd.DataFrame(
        {
            "impression_id": ["i0", "i1"],
            "shopper_id": ["s0", "s1"],
            "creative_id": ["a", "b"],
            "timestamp": [START, START + 2 * HOUR],
            "propensity": 0.5,
            **columns.pop("context", {}),
        }
    )
    pairs = pd.DataFrame({"impression_id": ["i0", "i0", "i1", "i1"], "creative_id": ["a", "b"] * 2})
    return logged_decisions(impressions, pairs, np.array([0, 2, 4]), creatives, np.array([0.0, 1.0]), **columns)


def test_open_columns_that_became_known_after_the_first_row_are_no_features_of_an_action():
    creatives = pd.DataFrame({"creative_id": ["a", "b", "c"], "feature_x": [1, 2, 30], "length": [4, 5, 6]})
    assert two_rows(creatives).action_features.tolist() == [[1, 4], [2, 5], [30, 6]]
    dated = creatives.assign(features_from=[START, pd.NaT, START + HOUR])
    assert two_rows(dated).action_features.tolist() == [[1, 4], [2, 5], [1.5, 6]]  # the mean of the known
    late = creatives.assign(features_from=START + HOUR)
    assert two_rows(late).action_features.tolist() == [[0, 4], [0, 5], [0, 6]]


def test_words_of_the_context_are_coded_by_the_rows_that_teach():
    creatives = pd.DataFrame({"creative_id": ["a", "b"]})
    context = {"context_tone": ["ante", "post"]}
    assert two_rows(creatives, context=context).context.ravel().tolist() == [0, 1]
    log = two_rows(creatives, context=context, consent=np.array([False, True]), prior=0.3)
    assert log.context.ravel().tolist() == [-1, 0]
    assert log.consenting.tolist() == [False, True] and log.constant_prediction == 0.3
    assert two_rows(creatives).consenting.tolist() == [True, True]


def test_rows_without_a_shopper_are_clusters_of_their_own():
    impressions = pd.DataFrame(
        {
            "impression_id": list("pqrstu"),
            "shopper_id": ["s1", "", "s1", None, "", "s2"],
            "creative_id": ["a", "b", "a", "a", "b", "a"],
            "propensity": 0.5,
        }
    )
    pairs = pd.DataFrame({"impression_id": np.repeat(list("pqrstu"), 2), "creative_id": ["a", "b"] * 6})
    creatives = pd.DataFrame({"creative_id": ["a", "b"]})
    log = logged_decisions(impressions, pairs, np.arange(0, 13, 2), creatives, np.zeros(6))
    assert log.cluster[0] == log.cluster[2] and len(set(log.cluster)) == 5 and log.cluster.max() == 4
