"""Scores that a policy learns from the log: by hand, and as they act in a package."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.policies import POLICIES
from components.policies.decision_table import ANY
from components.policies.kinds.learned_scores import (
    LearnedScores,
    PastDecisions,
    PopularityConfig,
    RulesConfig,
    popularity,
    rules,
)
from components.policies.policy_package import SCORES_FILE, PolicyPackage
from components.settings.errors import EarlierFormat, UserError
from tests.components.policies.packages import package

CREATIVES = pd.DataFrame(
    {
        "creative_id": ["a", "b", "c", "d"],
        "template": ["big", "big", "small", None],
        "headline": ["Sale", "New", "Sale", "Never shown"],
    }
)


def past(rows: list[tuple[str, str, int, int]], creatives: pd.DataFrame = CREATIVES) -> PastDecisions:
    """(segment, creative, impressions, clicks) -> one row per impression."""
    listed = [
        {"segment": segment, "creative_id": creative, "click": int(number < clicks)}
        for segment, creative, impressions, clicks in rows
        for number in range(impressions)
    ]
    return PastDecisions(pd.DataFrame(listed, columns=["segment", "creative_id", "click"]), creatives)


def score(scores: LearnedScores, segment: str, creative: str) -> float:
    return float(scores.of(np.array([segment], dtype=object), pd.Series([creative]))[0])


def test_popularity_by_hand():
    learned = popularity(PopularityConfig(prior_impressions=10), past([("0", "a", 40, 8), ("1", "b", 59, 4)]))
    rate = 12.5 / 100
    assert score(learned, "0", "a") == pytest.approx((8 + 10 * rate) / 50) == score(learned, "1", "a")
    assert score(learned, ANY, "b") == pytest.approx((4 + 10 * rate) / 69)
    assert score(learned, "0", "d") == pytest.approx(rate), "a creative that was never shown has the log's rate"
    assert np.isnan(score(learned, "0", "unknown"))


def test_rules_by_hand():
    config = RulesConfig(elements=("template",), prior_impressions=10)
    learned = rules(config, past([("0", "a", 40, 8), ("0", "c", 20, 2), ("1", "c", 39, 2)]))
    rate = 12.5 / 100
    big, segment = (8 + 10 * rate) / 50, (10 + 10 * rate) / 70
    assert score(learned, "0", "a") == pytest.approx((8 + 10 * big) / 50)
    assert score(learned, "0", "a") == score(learned, "0", "b"), "both have the template `big`"
    assert score(learned, "0", "d") == pytest.approx(segment), "without a template: the segment's rate"
    assert score(learned, "unheard of", "a") == pytest.approx((8 + 10 * big) / 50), "all rows of `big` are of segment 0"


def test_the_rule_of_a_segment_is_its_best_template_and_headline():
    """Segment 0 clicks on `big` and on `Sale`, segment 1 on `small` and on `New`; b and c each have one of both."""
    rows = [("0", "a", 1000, 90), ("0", "b", 1000, 50), ("0", "c", 1000, 40), ("1", "a", 1000, 20)]
    learned = rules(RulesConfig(), past([*rows, ("1", "b", 1000, 45), ("1", "c", 1000, 90)]))
    best = {
        segment: max("abc", key=lambda creative, segment=segment: score(learned, segment, creative))
        for segment in ("0", "1")
    }
    assert best == {"0": "a", "1": "c"}


def test_an_element_that_is_no_column_is_named():
    with pytest.raises(UserError, match=r"evaluation\.policy\.rules\.elements: creatives has no column 'colour'"):
        rules(RulesConfig(elements=("template", "colour")), past([("0", "a", 3, 1)]))


rows_of_a_log = st.lists(
    st.tuples(st.sampled_from(["0", "1", ANY]), st.sampled_from("abcd"), st.integers(0, 30), st.integers(0, 30)),
    max_size=8,
)


@settings(max_examples=50, deadline=None)
@given(rows_of_a_log, st.sampled_from([popularity, rules]), st.integers(1, 1000))
def test_every_creative_has_a_probability_in_every_segment(rows, learn, prior):
    config = {popularity: PopularityConfig, rules: RulesConfig}[learn](prior_impressions=prior)
    learned = learn(config, past(rows))
    assert not learned.rows.duplicated(["segment", "creative_id"]).any()
    for segment in ("0", "1", ANY, "new"):
        scores = learned.of(np.full(4, segment, dtype=object), CREATIVES["creative_id"])
        assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize("name", [name for name, kind in POLICIES.items() if kind.learn is not None])
class TestPackage:
    def policy(self, name: str) -> PolicyPackage:
        """Of s1's segment 0 the best is b, of everybody else's a."""
        rows = [("0", "a", 0.01), ("0", "b", 0.02), (ANY, "a", 0.02), (ANY, "b", 0.01)]
        scores = LearnedScores(pd.DataFrame(rows, columns=["segment", "creative_id", "score"]))
        settings_of = POLICIES[name].settings().model_dump(mode="json")
        parameters = replace(package().parameters, policy=name, policy_settings=settings_of)
        return replace(package(), parameters=parameters, scores=scores)

    def test_acts_by_the_shoppers_segment(self, name):
        policy = PolicyPackage.from_files(self.policy(name).files())
        requests = pd.DataFrame({"impression_id": ["i1", "i2"], "shopper_id": ["s1", "stranger"]})
        pairs = pd.DataFrame({"creative_id": ["a", "b", "late", "a", "b"]})
        shown = policy.probabilities("per_shopper", requests, pairs, np.array([0, 3, 5]))
        exploration = 0.1
        even = [exploration / 3, exploration / 2]
        np.testing.assert_allclose(
            shown, [even[0], 1 - exploration + even[0], even[0], 1 - exploration + even[1], even[1]]
        )

    def test_needs_its_scores(self, name):
        files = self.policy(name).files()
        del files[SCORES_FILE]
        with pytest.raises(EarlierFormat, match=r"lacks a file.*scores\.parquet"):
            PolicyPackage.from_files(files)
