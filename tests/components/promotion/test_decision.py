"""decide(): promote, refuse, abstain or keep, each for its stated reason, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from components.config import PromotionConfig
from components.evaluation.gate import GateEvidence
from components.evaluation.lift_bound import LIFTS, LiftRows, lift_sums
from components.evaluation.outlook import FIRST, Logging, Outlook
from components.promotion.decision import Decision, Evidence, Gate, decide, page

PASSED = Gate(True, ("calibrated",))
ALPHA = 0.025  # what the ledger gives the first question


def lift_of(gain: float, harms: tuple[str, ...] = ()) -> dict:
    """Evidence of 20,000 impressions on which the target truly earns `gain` more per impression than the baseline."""
    random = np.random.default_rng(0)
    first = random.random(20_000) < 0.5  # of two actions shown alike; the target prefers it at 9 : 1
    ahead = np.where(first, 1.8, 0.2)
    reward = (random.random(20_000) < 0.5 + gain / 0.8 * np.where(first, 1, -1)).astype(float)
    (sums,) = lift_sums(LiftRows.from_weights(ahead, np.ones(20_000), reward), np.array([20_000]))
    return GateEvidence(sums, (), 1.0, 20_000, harms).to_dict()


def evidence(gain=0.2, harms=(), verdict="trust", reasons=(), candidate="new", champion=None, alpha=ALPHA) -> Evidence:
    interval = {"value": gain, "ci_low": gain - 0.01, "ci_high": gain + 0.01} if verdict == "trust" else None
    evaluation = {"verdict": verdict, "lift": interval, "reasons": list(reasons), "selected": "dr"}
    return Evidence(PASSED, PASSED, evaluation, lift_of(gain, harms), alpha, candidate, champion)


def test_a_lower_bound_above_the_margin_promotes():
    decision = decide(evidence(), PromotionConfig(margin=0.001))
    assert decision.action == "promote"
    assert "above the margin" in decision.reasons[1]


def test_the_bound_is_the_anytime_valid_one_at_the_ledgers_alpha():
    bound = GateEvidence.from_dict(lift_of(0.2)).lower_bound(ALPHA)
    assert decide(evidence(), PromotionConfig(margin=bound - 1e-9)).action == "promote"
    assert decide(evidence(), PromotionConfig(margin=bound)).action == "refuse"
    assert decide(evidence(alpha=ALPHA / 100), PromotionConfig(margin=bound - 1e-9)).action == "refuse"


def test_no_gain_is_refused():
    assert decide(evidence(gain=0.0), PromotionConfig()).action == "refuse"


def test_evidence_of_harm_refuses_whatever_the_lift():
    decision = decide(evidence(harms=("segment 3 is harmed",)), PromotionConfig())
    assert (decision.action, decision.reasons[1]) == ("refuse", "segment 3 is harmed")


def test_an_abstention_gives_evaluations_reasons():
    decision = decide(evidence(verdict="abstain", reasons=["287 clicks are too few"]), PromotionConfig())
    assert (decision.action, decision.reasons) == ("abstain", ("287 clicks are too few",))


def test_an_abstention_tells_what_would_settle_it_at_the_ledgers_alpha():
    rates = tuple(0.4 * LIFTS)
    logging = Logging(0.0, 0.4, rates, tuple(0.2 * rate**2 for rate in rates), 100.0)
    settles = Outlook(20_000, 0.05, 0.025, (logging,))
    said = settles.sentence(FIRST)
    later = evidence(verdict="abstain", reasons=["too few", said], alpha=ALPHA / 50)
    decision = decide(replace(later, outlook=settles.to_dict()), PromotionConfig())
    assert decision.reasons == ("too few", settles.sentence(ALPHA / 50)) and said not in decision.reasons
    assert settles.needs(ALPHA / 50)[0.0] > settles.needs(ALPHA)[0.0]
    assert f"| 0% | {settles.needs(ALPHA / 50)[0.0]:,} |" in page(decision)


def test_a_refusal_without_harm_tells_how_much_longer_the_log_would_have_to_be():
    decision = decide(evidence(gain=0.0003), PromotionConfig())
    assert decision.action == "refuse" and "prove it with probability 80%" in decision.reasons[-1]
    needed = int(decision.reasons[-1].split(" impressions")[0].rsplit(" ", 1)[1].replace(",", ""))
    assert needed > 20_000
    for other in (
        decide(evidence(gain=-0.0003), PromotionConfig()),
        decide(evidence(harms=("harm",)), PromotionConfig()),
    ):
        assert other.action == "refuse" and not any("prove it" in reason for reason in other.reasons)


def test_the_champion_is_not_judged_against_itself():
    assert decide(evidence(candidate="same", champion="same"), PromotionConfig()).action == "keep"


@pytest.mark.parametrize("champion", [None, "old"])
def test_the_record_is_plain_json_and_replays(champion):
    decision = decide(evidence(champion=champion), PromotionConfig())
    record = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    again = Decision.of(record)
    assert again.action == decision.action
    assert decide(again.evidence, PromotionConfig(margin=record["margin"])).reasons == decision.reasons
