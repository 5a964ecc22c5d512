"""The choice between campaigns: by hand, and as it is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.policies.campaign_choice import by_value, evenly
from components.policies.campaign_limits import CampaignTerms
from components.policies.online_policy import AdRequest, uniform_policy
from tests.components.policies.packages import catalogue


def test_by_hand():
    assert evenly("abcd").tolist() == [0.25] * 4
    assert by_value([0.1, 0.3, 0.2], 0.3) == pytest.approx([0.1, 0.8, 0.1])
    assert by_value([0.3, 0.3, 0.0], 0.0) == pytest.approx([0.5, 0.5, 0.0])
    assert by_value([0.0, 0.0], 0.1) == pytest.approx([0.5, 0.5]), "nobody bids"
    assert by_value([1.0, 2.0], 1.0).tolist() == [0.5, 0.5]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.floats(0, 1))
def test_probabilities_sum_to_one_and_no_campaign_has_less_than_its_share_of_exploration(values, exploration):
    probabilities = by_value(values, exploration)
    assert probabilities.sum() == pytest.approx(1.0) and probabilities.min() >= exploration / len(values) - 1e-12
    assert probabilities[int(np.argmax(values))] == pytest.approx(probabilities.max())


def test_an_impression_earns_a_thousandth_of_the_bid_or_the_bid_by_its_click():
    terms = CampaignTerms("c", "cpm", bid=2_500, budget=None, frequency_cap=None, starts_at=0, ends_at=None)
    assert terms.earned(0.5) == 0.0025
    assert replace(terms, billing="cpc", bid=400_000).earned(0.05) == pytest.approx(0.02)


def test_one_campaign_is_drawn_from_the_probabilities_which_the_decision_tells():
    policy = uniform_policy(catalogue({"a": "c", "b": "c", "x": "d", "y": "e"}))
    chances = {"c": 0.7, "d": 0.3, "e": 0.0}
    shown = dict.fromkeys(chances, 0)
    for number in range(3000):
        request = AdRequest(f"i{number}", 0)
        eligible = policy.eligible(request, choose=lambda found: np.array([chances[one.campaign] for one in found]))
        decision = policy.decide(request, eligible)
        assert decision.campaign_probability == chances[decision.campaign]
        assert decision.propensity == (0.5 if decision.campaign == "c" else 1.0)
        shown[decision.campaign] += 1
    assert shown["e"] == 0 and shown["c"] / 3000 == pytest.approx(0.7, abs=0.03)
