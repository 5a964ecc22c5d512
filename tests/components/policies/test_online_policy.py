"""One request at a time: the probabilities are the package's, draws follow them, and only eligible ads are shown."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.policies import POLICIES, eligible_pairs, pair_offsets
from components.policies.kinds.learned_scores import LearnedScores
from components.policies.online_policy import (
    AdDecision,
    AdRequest,
    NothingEligible,
    UnknownCampaign,
    online_policy,
    uniform_policy,
)
from components.policies.policy_package import FORMS, PER_SHOPPER, TABLE, PolicyPackage
from components.policies.table_reasons import REASON_COLUMNS
from tests.components.policies.packages import catalogue, package, rows

NAMES = [f"a{number}" for number in range(12)]
DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2026-03-01", tz="UTC")


def moment(time: pd.Timestamp) -> int:
    return int(time.value // 1000)


@functools.cache
def varied(name: str = "chi_square", exploration: float = 0.1) -> PolicyPackage:
    """A package with the policy `name`: campaigns c (12 creatives) and d (3), new ones, preferences and values."""
    random = np.random.default_rng(7)
    creatives = catalogue(dict.fromkeys(NAMES, "c") | dict.fromkeys(["d1", "d2", "d3"], "d"), new=("a3", "a9", "d3"))
    creatives = creatives.sample(frac=1.0, random_state=1, ignore_index=True).assign(
        preference=random.normal(0, 0.5, 15), value=random.uniform(0.2, 1.0, 15)
    )
    cells = {
        (segment, placement, campaign): dict(zip(ids, random.dirichlet(np.ones(len(ids))), strict=True))
        for segment, placement, campaign, ids in [
            ("0", "top", "c", NAMES[:8]), ("any", "top", "c", NAMES), ("any", "any", "c", NAMES[4:]),
            ("any", "any", "d", ["d1", "d2"]), ("1", "top", "d", ["d2", "gone"]),
        ]
    }  # fmt: skip
    kind = POLICIES[name]
    scores = None
    if kind.learn is not None:
        scored = [(segment, creative) for segment in ("any", "0") for creative in [*NAMES[:10], "d1"]]
        scores = LearnedScores(
            pd.DataFrame(scored, columns=["segment", "creative_id"]).assign(score=random.uniform(0.01, 0.05, 22))
        )
    segments = pd.DataFrame({"shopper_id": ["s0", "s1"], "segment": ["0", "1"]})
    parameters = replace(
        package().parameters,
        policy=name,
        policy_settings=kind.settings().model_dump(mode="json"),
        exploration=exploration,
        errors=kind.needs_errors,
    )
    return PolicyPackage(parameters, rows(cells), segments, creatives, scores)


def some_requests() -> list[AdRequest]:
    shoppers, placements = ("s0", "s1", "a newcomer", None), ("top", "side", None)
    return [
        AdRequest(f"{campaign}/{shopper}/{placement}", moment(START), (campaign,), shopper, placement, shortlist)
        for campaign in ("c", "d")
        for shopper in shoppers
        for placement in placements
        for shortlist in (None, frozenset({"a1", "a3", "a5", "d2"}), frozenset({"a9", "a3", "d3"}))
    ]


def clicks_of(policy: PolicyPackage, request: AdRequest):
    """P(click) of every creative of the catalogue for this request, as an interest model would give it."""
    seed = sum(map(ord, request.decision_id))
    p_click = np.random.default_rng(seed).uniform(0.005, 0.1, len(policy.catalogue))
    return lambda rows: p_click[rows]


def errors_of(policy: PolicyPackage, request: AdRequest):
    """The standard errors of `clicks_of`; None for a policy that does not use them."""
    random = np.random.default_rng(sum(map(ord, request.decision_id)) + 1)
    errors = random.uniform(0.001, 0.02, len(policy.catalogue))
    return (lambda rows: errors[rows]) if policy.parameters.errors else None


def in_tables(policy: PolicyPackage, requests: list[AdRequest], online) -> tuple:
    """The same requests as the tables that the evaluation and a server of tables give to a package."""
    impressions = pd.DataFrame(
        {
            "impression_id": [request.decision_id for request in requests],
            "shopper_id": [request.shopper_id or "nobody" for request in requests],
            "placement": [request.placement for request in requests],
            "campaign": [request.campaigns[0] for request in requests],
        }
    )
    eligible = [online.eligible(request) for request in requests]
    pairs = pd.DataFrame(
        {
            "creative_id": np.concatenate([one.creative_ids for one in eligible]),
            "p_click": np.concatenate(
                [clicks_of(policy, request)(one.rows) for request, one in zip(requests, eligible, strict=True)]
            ),
        }
    )
    if policy.parameters.errors:
        errors = [errors_of(policy, request)(one.rows) for request, one in zip(requests, eligible, strict=True)]
        pairs = pairs.assign(p_click_error=np.concatenate(errors))
    return impressions, pairs, np.cumsum([0, *(len(one.places) for one in eligible)])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", POLICIES)
class TestEveryPolicy:
    def test_a_request_has_the_probabilities_of_the_package(self, name, form):
        policy = varied(name)
        online, requests = online_policy(policy, form), some_requests()
        assert online.needs_clicks == (form == PER_SHOPPER and policy.scores is None)
        together = policy.probabilities(form, *in_tables(policy, requests, online))
        found = []
        for request in requests:
            asked = (clicks_of(policy, request), errors_of(policy, request))
            decision = online.decide(request, online.eligible(request), *asked)
            alone = policy.probabilities(form, *in_tables(policy, [request], online))
            np.testing.assert_array_equal(decision.probabilities, alone)
            assert decision.probabilities.sum() == pytest.approx(1.0) and 0 < decision.propensity <= 1
            found.append(decision.probabilities)
        np.testing.assert_allclose(np.concatenate(found), together, rtol=0, atol=1e-12)

    def test_a_decision_can_be_repeated_after_the_package_was_stored(self, name, form):
        policy, request = varied(name), some_requests()[0]
        again = PolicyPackage.from_files(policy.files())
        first, second = (
            online.decide(request, online.eligible(request), clicks_of(policy, request), errors_of(policy, request))
            for online in (online_policy(policy, form), online_policy(again, form))
        )
        assert first.creative_id == second.creative_id and first.propensity == second.propensity


@pytest.mark.parametrize("form", FORMS)
def test_draws_follow_the_probabilities(form):
    policy = varied()
    online = online_policy(policy, form)
    request = some_requests()[0]
    clicks, shown = clicks_of(policy, request), dict.fromkeys(NAMES, 0)
    for number in range(4000):
        numbered = replace(request, decision_id=f"i{number}")
        decision = online.decide(numbered, online.eligible(numbered), clicks)
        shown[decision.creative_id] += 1
    shares = [shown[name] / 4000 for name in decision.creative_ids]
    np.testing.assert_allclose(shares, decision.probabilities, atol=0.03)


def test_another_seed_draws_anew_and_the_same_seed_the_same():
    policy, requests = varied(), some_requests()

    def drawn(seed: int) -> list[str]:
        online = online_policy(policy, TABLE, seed)
        return [online.decide(request, online.eligible(request)).creative_id for request in requests]

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_creative_of_probability_zero_is_never_shown():
    policy = varied("popularity", exploration=0.0)
    policy = replace(policy, catalogue=policy.catalogue.assign(new=False))
    online = online_policy(policy, PER_SHOPPER)
    for number in range(500):
        request = AdRequest(f"i{number}", moment(START), ("c",))
        decision = online.decide(request, online.eligible(request))
        assert decision.propensity == 1.0 and (decision.probabilities == 0).sum() == 11


times = st.none() | st.integers(0, 6).map(lambda day: START + day * DAY)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(times, times), min_size=15, max_size=15),
    st.integers(-1, 8 * 24).map(lambda hours: START + hours * pd.Timedelta(hours=1)),
    st.none() | st.frozensets(st.sampled_from([*NAMES, "d1", "stranger"]), max_size=6),
    st.sampled_from([("c",), ("d",), ("c", "d"), ()]),
    st.sampled_from([*FORMS, "uniform"]),
)
def test_only_eligible_creatives_are_shown(active, when, shortlist, campaigns, form):
    policy = varied()
    begin, end = (
        pd.to_datetime(pd.Series(column), utc=True).astype("datetime64[us, UTC]")
        for column in zip(*active, strict=True)
    )
    creatives = policy.catalogue.assign(active_from=begin, active_until=end)
    policy = replace(policy, catalogue=creatives)
    online = uniform_policy(creatives) if form == "uniform" else online_policy(policy, form)
    request = AdRequest("i1", moment(when), campaigns, "s0", "top", shortlist)
    due = {
        campaign: creatives.loc[
            (creatives["campaign"] == campaign)
            & ~(creatives["active_from"] > when)
            & ~(creatives["active_until"] < when)
            & (creatives["creative_id"].isin(shortlist) if shortlist is not None else True),
            "creative_id",
        ].tolist()
        for campaign in campaigns or ("c", "d")
    }
    if not any(due.values()):
        with pytest.raises(NothingEligible, match=r"no creative of .* is active"):
            online.eligible(request)
        return
    decision = online.decide(request, online.eligible(request), clicks_of(policy, request))
    assert due[decision.campaign] and decision.creative_ids.tolist() == due[decision.campaign]
    assert decision.creative_id in due[decision.campaign] and decision.propensity > 0


def test_eligible_are_those_of_the_batch_path():
    random = np.random.default_rng(3)
    creatives = varied().catalogue
    begin = START + pd.to_timedelta(random.integers(0, 5, 15), unit="D")
    creatives = creatives.assign(
        active_from=pd.Series(begin).astype("datetime64[us, UTC]").where(random.random(15) < 0.6),
        active_until=pd.Series(begin + 2 * DAY).astype("datetime64[us, UTC]").where(random.random(15) < 0.6),
    )
    times = pd.Series([START + number * pd.Timedelta(hours=6) for number in range(40)]).astype("datetime64[us, UTC]")
    impressions = pd.DataFrame({"impression_id": [f"i{n}" for n in range(40)], "campaign": "c", "timestamp": times})
    online = uniform_policy(creatives)
    pairs = eligible_pairs({"creatives": creatives}, impressions)
    offsets = pair_offsets(pairs, impressions)
    for number, time in enumerate(times):
        found = online.eligible(AdRequest("i", moment(time), ("c",))).creative_ids.tolist()
        assert found == pairs["creative_id"].iloc[offsets[number] : offsets[number + 1]].tolist()


def test_the_campaign_of_a_request_for_several_is_drawn_evenly_among_those_that_can_show_an_ad():
    creatives = varied().catalogue
    ended = creatives.assign(
        active_until=pd.Series(START - DAY, index=creatives.index).where(creatives["campaign"] == "d")
    )
    online, only_c = uniform_policy(creatives), uniform_policy(ended)
    requests = [AdRequest(f"i{number}", moment(START)) for number in range(2000)]
    share = np.mean([online.eligible(request).campaign == "c" for request in requests])
    assert share == pytest.approx(0.5, abs=0.04)
    assert {only_c.eligible(request).campaign for request in requests} == {"c"}


def test_a_table_says_why_it_shows_what_its_cell_shows_most():
    rows = [
        ("0", "top", "c", "a1", 2, -0.1, "second", "二"), ("0", "top", "c", "a1", 1, 0.3, "first", "一"),
        ("any", "any", "c", "a5", 1, 0.2, "of all", "全"),
    ]  # fmt: skip
    online = online_policy(replace(varied(), reasons=pd.DataFrame(rows, columns=list(REASON_COLUMNS))), TABLE)

    def why(creative: str, shopper: str, placement: str, campaign: str = "c"):
        request = AdRequest("i1", moment(START), (campaign,), shopper, placement)
        shown = AdDecision(campaign, np.array([creative], dtype=object), np.ones(1), 0)
        return online.explain(request, shown)

    assert why("a1", "s0", "top") == {"en": ("first", "second"), "zh": ("一", "二")}
    assert why("a5", "s1", "side") == {"en": ("of all",), "zh": ("全",)}, "by the cell that answers"
    assert why("a2", "s0", "top") is why("a5", "s1", "top") is why("d1", "s1", "side", "d") is None
    shown = AdDecision("c", np.array(["a1"], dtype=object), np.ones(1), 0)
    assert online_policy(varied(), TABLE).explain(some_requests()[0], shown) is None, "a package without reasons"


def test_what_cannot_be_decided_is_named():
    online = online_policy(varied(), PER_SHOPPER)
    with pytest.raises(UnknownCampaign, match="campaign 'spring' is not in the catalogue"):
        online.eligible(AdRequest("i1", 0, ("c", "spring")))
    with pytest.raises(NothingEligible, match="no creative of c is active and in the shortlist"):
        online.eligible(AdRequest("i1", 0, ("c",), shortlist=frozenset({"d1"})))
    with pytest.raises(ValueError, match="needs the interest model"):
        online.decide(AdRequest("i1", 0, ("c",)), online.eligible(AdRequest("i1", 0, ("c",))))
    unsure, request = varied("thompson"), AdRequest("i1", 0, ("c",))
    online = online_policy(unsure, PER_SHOPPER)
    with pytest.raises(ValueError, match="needs the standard errors"):
        online.decide(request, online.eligible(request), clicks_of(unsure, request))


def test_an_uniform_policy_is_uniform():
    online = uniform_policy(varied().catalogue)
    request = AdRequest("i1", 0, ("d",))
    assert online.decide(request, online.eligible(request)).probabilities.tolist() == [1 / 3] * 3
    assert not online.needs_clicks
