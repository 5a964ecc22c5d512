"""Limits of campaigns: by hand, against a naive twin, and over a simulated day."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.features.timeline import DAY
from components.policies.campaign_limits import HOUR, Admission, CampaignTerms, Delivered, campaign_terms
from components.policies.online_policy import AdRequest, NothingEligible, uniform_policy
from components.settings.errors import UserError
from tests.components.policies.packages import catalogue

MONDAY = 20_600 * DAY
TERMS = CampaignTerms("c", "cpm", bid=2_000, budget=None, frequency_cap=None, starts_at=0, ends_at=MONDAY + 10 * DAY)


def table(**columns) -> pd.DataFrame:
    row = {"campaign": "c", "billing": "cpm", "bid": 2.5, "budget": 10.0, "frequency_cap": 3, **columns}
    times = {
        name: pd.Timestamp(day, tz="UTC") for name, day in (("starts_at", "2026-01-01"), ("ends_at", "2026-02-01"))
    }
    return pd.DataFrame([row | times])


def test_terms_of_a_row_are_in_millionths_per_impression_or_click():
    terms = campaign_terms(table())["c"]
    assert (terms.bid, terms.budget, terms.frequency_cap) == (2_500, 10_000_000, 3)
    assert (terms.paid(4, 3), terms.starts_at) == (10_000, 1_767_225_600_000_000)
    assert campaign_terms(table(billing="cpc"))["c"].paid(4, 3) == 7_500_000
    assert campaign_terms(pd.DataFrame([{"campaign": "c", "billing": "cpc"}]))["c"] == CampaignTerms(
        "c", "cpc", bid=0, budget=None, frequency_cap=None, starts_at=0, ends_at=None
    )


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("bid", -1.0, "the bid of c is -1"), ("budget", float("inf"), "the budget of c is inf"),
        ("frequency_cap", -2, "the frequency_cap of c is -2"), ("billing", "cpa", "is 'cpa', not cpm or cpc"),
    ],
)  # fmt: skip
def test_what_the_contract_does_not_allow_is_named(column, value, text):
    with pytest.raises(UserError, match=text):
        campaign_terms(table(**{column: value}))


def test_a_cap_counts_what_the_shopper_saw_today():
    capped = replace(TERMS, frequency_cap=2)
    assert capped.admission(Delivered(shown_today=1), MONDAY) == Admission()
    refused = Admission(0.0, "the frequency cap of campaign c of 2 impressions a day is reached for this shopper")
    assert capped.admission(Delivered(shown_today=2), MONDAY) == refused
    never = replace(TERMS, frequency_cap=0).admission(Delivered(), MONDAY)
    assert never == Admission(0.0, "the frequency cap of campaign c is 0")


def test_a_budget_is_spent_when_it_does_not_pay_for_another():
    paid = replace(TERMS, budget=10_000, ends_at=None)
    assert paid.admission(Delivered(4_000, 4_000), MONDAY).probability == 1.0
    refused = paid.admission(Delivered(4_000, 4_001), MONDAY)
    assert refused == Admission(0.0, "the budget of campaign c, 0.01, is spent")
    assert replace(paid, budget=0).admission(Delivered(), MONDAY).probability == 0.0
    free = replace(paid, bid=0)
    assert free.admission(Delivered(), MONDAY).probability == 1.0, "without a bid nothing is spent"
    assert replace(free, budget=0).admission(Delivered(), MONDAY).probability == 0.0


def test_the_pace_by_hand():
    """A budget of 240,000 over 10 days: 1,000 an hour; an hour ahead at most."""
    paced = replace(TERMS, bid=1, budget=240_000)

    def share(before: int, today: int, hours: float) -> float:
        return paced.admission(Delivered(before, today), MONDAY + int(hours * HOUR)).probability

    assert share(0, 0, 0) == share(0, 5_000, 5) == 1.0
    assert share(0, 5_250, 5) == pytest.approx(0.75) and share(0, 5_900, 5) == pytest.approx(0.1)
    assert share(0, 6_000, 5) == share(0, 20_000, 5) == 0.0
    assert share(120_000, 2_600, 5) == pytest.approx(0.8), "500 an hour are left"
    late = replace(paced, starts_at=MONDAY + 12 * HOUR, ends_at=MONDAY + 36 * HOUR)
    assert late.admission(Delivered(0, 15_000), MONDAY + 13 * HOUR).probability == pytest.approx(0.5)
    ahead = paced.admission(Delivered(0, 5_700), MONDAY + 5 * HOUR)
    assert ahead.reason.endswith("is ahead of an even spending of its budget and takes part in 30% of the requests")


def test_a_day_of_ten_times_the_traffic_spends_the_budget_evenly():
    """60,000 requests over a day that the budget has 6,000 impressions for: each hour spends its share."""
    paced = replace(TERMS, bid=1, budget=6_000, ends_at=MONDAY + DAY)
    policy = uniform_policy(catalogue({"a": "c", "b": "c"}))
    spent = np.zeros(24, dtype=int)
    for number in range(60_000):
        moment = MONDAY + number * DAY // 60_000
        admission = paced.admission(Delivered(0, int(spent.sum())), moment)
        if policy._uniform(AdRequest(f"i{number}", moment), "pace", "c") < admission.probability:
            spent[(moment - MONDAY) // HOUR] += 1
    assert spent.sum() == pytest.approx(6_000, rel=0.01) and spent.sum() <= 6_000
    np.testing.assert_allclose(spent[1:23], 6_000 / 24, rtol=0.15)


amounts = st.integers(0, 40).map(lambda tenth: tenth / 10)
campaigns = st.fixed_dictionaries(
    {
        "billing": st.sampled_from(["cpm", "cpc"]), "bid": st.none() | amounts, "budget": st.none() | amounts,
        "frequency_cap": st.none() | st.integers(0, 3),
        "delivered": st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)),
    }
)  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(st.lists(campaigns, min_size=1, max_size=4), st.integers(0, 47), st.integers(0, 10**6))
def test_only_campaigns_within_their_limits_are_shown(rows, hours, number):
    """The twin computes in floats and plain words what the limits say."""
    names = [f"c{place}" for place in range(len(rows))]
    moment, begun, ends = MONDAY + hours * HOUR, MONDAY + hours // 24 * DAY, MONDAY + 2 * DAY
    policy = uniform_policy(catalogue({f"{name}/{ad}": name for name in names for ad in "xyz"}))
    request = AdRequest(f"i{number}", moment)
    columns = pd.DataFrame(rows).assign(
        campaign=names, starts_at=pd.Timestamp(0, tz="UTC"), ends_at=pd.Timestamp(ends, unit="us", tz="UTC")
    )
    terms, delivered, due = campaign_terms(columns), {}, {}
    for name, row in zip(names, rows, strict=True):
        price = (row["bid"] or 0.0) / (1000 if row["billing"] == "cpm" else 1)
        before, today, shown = row["delivered"]
        delivered[name] = Delivered(terms[name].bid * before, terms[name].bid * today, shown)
        due[name] = 1.0
        if row["frequency_cap"] is not None and shown >= row["frequency_cap"]:
            due[name] = 0.0
        elif row["budget"] is not None:
            left = row["budget"] - price * (before + today)
            if left <= 1e-9 or left < price - 1e-9:
                due[name] = 0.0
            else:
                hourly = (row["budget"] - price * before) / ((ends - begun) / HOUR)
                due[name] = min(max(hours % 24 + 1 - price * today / hourly, 0.0), 1.0)
    drawn = {name for name in names if policy._uniform(request, "pace", name) < due[name] + 1e-9}
    sure = {name for name in names if policy._uniform(request, "pace", name) < due[name] - 1e-9}

    def limits(campaign: str) -> Admission:
        return terms[campaign].admission(delivered[campaign], moment)

    assert [limits(name).probability for name in names] == pytest.approx([due[name] for name in names])
    if drawn:
        decision = policy.decide(request, policy.eligible(request, limits))
        assert decision.campaign in drawn and decision.creative_id.startswith(f"{decision.campaign}/")
        assert decision.probabilities.tolist() == [1 / 3] * 3, "given the campaign, the creative's propensity is exact"
    if not sure and not drawn:
        with pytest.raises(NothingEligible, match="campaign c0"):
            policy.eligible(request, limits)
    for name in set(names) - drawn:
        with pytest.raises(NothingEligible, match=f"campaign {name}"):
            policy.eligible(replace(request, campaigns=(name,)), limits)


def test_a_message_lists_a_few_reasons():
    names = [f"c{place}" for place in range(5)]
    policy = uniform_policy(catalogue({f"{name}/x": name for name in names}))
    with pytest.raises(NothingEligible, match=r"^no c0; no c1; no c2; and 2 more$"):
        policy.eligible(AdRequest("i", MONDAY), lambda campaign: Admission(0.0, f"no {campaign}"))
