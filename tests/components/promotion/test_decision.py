"""decide(): promote, refuse, abstain or keep, each for its stated reason, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config import PromotionConfig
from components.promotion.decision import Decision, Evidence, Gate, decide

PASSED = Gate(True, ("calibrated",))


def evidence(lift=(0.004, 0.002, 0.006), verdict="trust", reasons=(), candidate="new", champion=None) -> Evidence:
    interval = dict(zip(("value", "ci_low", "ci_high"), lift, strict=True)) if lift else None
    evaluation = {"verdict": verdict, "lift": interval, "reasons": list(reasons), "selected": "dr"}
    return Evidence(PASSED, PASSED, evaluation, candidate, champion)


def test_a_lower_bound_above_the_margin_promotes():
    decision = decide(evidence(), PromotionConfig(margin=0.001))
    assert decision.action == "promote"
    assert "lower bound exceeds the margin" in decision.reasons[0]


def test_a_lower_bound_at_the_margin_does_not():
    assert decide(evidence(lift=(0.004, 0.001, 0.006)), PromotionConfig(margin=0.001)).action == "refuse"


def test_an_abstention_gives_evaluations_reasons():
    decision = decide(evidence(lift=None, verdict="abstain", reasons=["287 clicks are too few"]), PromotionConfig())
    assert (decision.action, decision.reasons) == ("abstain", ("287 clicks are too few",))


def test_the_champion_is_not_judged_against_itself():
    assert decide(evidence(candidate="same", champion="same"), PromotionConfig()).action == "keep"


@given(st.floats(-0.1, 0.1), st.floats(0, 0.1), st.floats(-0.05, 0.05))
def test_promotion_never_happens_below_the_margin(value, width, margin):
    found = decide(evidence(lift=(value, value - width, value + width)), PromotionConfig(margin=margin))
    assert (found.action == "promote") == (value - width > margin)


@pytest.mark.parametrize("champion", [None, "old"])
def test_the_record_is_plain_json_and_replays(champion):
    decision = decide(evidence(champion=champion), PromotionConfig())
    record = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    again = Decision.of(record)
    assert again == decision
    assert decide(again.evidence, PromotionConfig(margin=record["margin"])) == decision
