"""Tables of the contract become logged decisions."""

import numpy as np
import pandas as pd

from components.evaluation import logged_decisions


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
