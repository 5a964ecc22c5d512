"""decide(): promote, refuse, abstain or keep, each for its stated reason, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from components.evaluation.gate.evidence import GateEvidence
from components.evaluation.gate.lift_bound import LIFTS, LiftRows, lift_sums
from components.evaluation.gate.sample_size import FIRST_ALPHA, ExplorationOption, SampleSizes
from components.evaluation.rewards import REWARDS
from components.registry.decision import Decision, Evidence, Gate, decide, page
from components.settings.sections import PromotionConfig

CLICK = REWARDS["click"]
PASSED = Gate(True, ("calibrated",))
ALPHA = 0.025  # what the ledger gives the first question
EARLIER_NAMES = {
    "sample_sizes": "outlook",
    "critical_findings": "broken",
    "largest_baseline_excess": "largest_behind",
    "options": "ways",
    "min_impressions": "rules",
}


def lift_of(gain: float, harms: tuple[str, ...] = ()) -> dict:
    """Evidence of 20,000 impressions on which the target truly earns `gain` more per impression than the baseline."""
    random = np.random.default_rng(0)
    first = random.random(20_000) < 0.5  # of two actions shown alike; the target prefers it at 9 : 1
    ahead = np.where(first, 1.8, 0.2)
    reward = (random.random(20_000) < 0.5 + gain / 0.8 * np.where(first, 1, -1)).astype(float)
    (sums,) = lift_sums(LiftRows.from_weights(ahead, np.ones(20_000), reward), np.array([20_000]))
    return GateEvidence(sums, (), 1.0, 20_000, harms).to_dict()


def form(name: str, gain=0.2, harms=(), verdict="trust", reasons=(), sample_sizes=None) -> dict:
    """The record of one form of a policy, as evaluation.json has it."""
    interval = {"value": gain, "ci_low": gain - 0.01, "ci_high": gain + 0.01} if verdict == "trust" else None
    evaluation = {"verdict": verdict, "lift": interval, "reasons": list(reasons), "selected": "dr"}
    log = {"logging_policy": "shop", "evaluation": evaluation, "sample_sizes": sample_sizes}
    return {"form": name, "logs": [log], "gate": lift_of(gain, harms), "critical_findings": []}


def evidence(candidate="new", champion=None, alpha=ALPHA, question="q", **fields) -> Evidence:
    """Evidence about a policy of one form, `table`, told by the arguments of `form`."""
    return Evidence(
        PASSED, PASSED, False, (form("table", **fields),), question, alpha, candidate, champion, REWARDS["click"]
    )


def of_forms(*forms: dict) -> Evidence:
    return replace(evidence(), forms=forms)


def test_a_lower_bound_above_the_margin_promotes():
    decision = decide(evidence(), PromotionConfig(margin=0.001))
    assert decision.action == "promote"
    assert "above the margin" in decision.reasons[1]
    assert decision.acts == "table" and decision.lift["value"] == 0.2


def test_the_bound_is_the_anytime_valid_one_at_the_ledgers_alpha():
    bound = GateEvidence.from_dict(lift_of(0.2)).lower_bound(ALPHA)
    assert decide(evidence(), PromotionConfig(margin=bound - 1e-9)).action == "promote"
    assert decide(evidence(), PromotionConfig(margin=bound)).action == "refuse"
    assert decide(evidence(alpha=ALPHA / 100), PromotionConfig(margin=bound - 1e-9)).action == "refuse"


def test_no_gain_is_refused():
    assert decide(evidence(gain=0.0), PromotionConfig()).action == "refuse"


def test_evidence_of_harm_refuses_whatever_the_lift():
    decision = decide(evidence(harms=("segment 3 is harmed",)), PromotionConfig())
    assert (decision.action, decision.reasons[1]) == ("refuse", "table: segment 3 is harmed")
    assert decision.acts is None


def test_an_abstention_gives_evaluations_reasons():
    decision = decide(evidence(verdict="abstain", reasons=["287 clicks are too few"]), PromotionConfig())
    assert (decision.action, decision.reasons) == ("abstain", ("table: 287 clicks are too few",))


def test_an_abstention_tells_what_would_settle_it_at_the_ledgers_alpha():
    rates = tuple(0.4 * LIFTS)
    logging = ExplorationOption(0.0, 0.4, rates, tuple(0.2 * rate**2 for rate in rates), 100.0)
    settles = SampleSizes(20_000, 0.05, 0.025, (logging,))
    sentence = settles.sentence(FIRST_ALPHA)
    later = evidence(verdict="abstain", reasons=["too few", sentence], alpha=ALPHA / 50, sample_sizes=settles.to_dict())
    decision = decide(later, PromotionConfig())
    assert decision.reasons == ("table: too few", f"table: {settles.sentence(ALPHA / 50)}")
    assert sentence not in " ".join(decision.reasons)
    assert settles.needed(ALPHA / 50)[0.0] > settles.needed(ALPHA)[0.0]
    assert f"| 0% | {settles.needed(ALPHA / 50)[0.0]:,} |" in page(decision)


def with_earlier_names(value):
    """A record with the names that its fields had in earlier records."""
    if isinstance(value, dict):
        return {EARLIER_NAMES.get(key, key): with_earlier_names(item) for key, item in value.items()}
    return [with_earlier_names(item) for item in value] if isinstance(value, list) else value


def test_records_with_the_earlier_names_of_fields_still_load_and_replay():
    option = ExplorationOption(0.0, 0.4, tuple(0.4 * LIFTS), tuple(0.03 * LIFTS**2), 100.0)
    sizes = SampleSizes(20_000, 0.05, 0.025, (option,))
    reasons = ["too few", sizes.sentence(FIRST_ALPHA)]
    abstained = evidence(verdict="abstain", reasons=reasons, alpha=ALPHA / 50, sample_sizes=sizes.to_dict())
    critical = {**form("table"), "gate": None, "critical_findings": ["log of a test: propensities do not sum to 1"]}
    for judged in (evidence(), evidence(gain=0.0), abstained, of_forms(critical)):
        decision = decide(judged, PromotionConfig())
        record = with_earlier_names(json.loads(json.dumps(decision.to_dict())))
        assert not any(name in json.dumps(record) for name in EARLIER_NAMES)
        earlier = Decision.of(record)
        assert earlier.replays() and page(earlier) == page(decision)


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


def test_only_the_forms_that_passed_may_act_and_the_first_of_them_does():
    both = decide(of_forms(form("table"), form("per_shopper")), PromotionConfig())
    assert [verdict.verdict for verdict in both.forms] == ["passed", "passed"] and both.acts == "table"
    first = decide(of_forms(form("table"), form("per_shopper", gain=0.0)), PromotionConfig())
    assert (first.action, first.acts, first.passed) == ("promote", "table", ("table",))
    other = decide(of_forms(form("table", gain=0.0), form("per_shopper")), PromotionConfig())
    assert (other.action, other.acts, other.passed) == ("promote", "per_shopper", ("per_shopper",))
    neither = decide(of_forms(form("table", gain=0.0), form("per_shopper", gain=0.0)), PromotionConfig())
    assert (neither.action, neither.acts, neither.passed) == ("refuse", None, ())


def test_forms_share_one_error_probability_by_holms_procedure():
    """One has to pass at half of it; then the other has the whole."""
    strong, weak = form("table"), form("per_shopper", gain=0.05)
    bound = GateEvidence.from_dict(weak["gate"])
    between = (bound.lower_bound(ALPHA / 2) + bound.lower_bound(ALPHA)) / 2
    assert bound.lower_bound(ALPHA / 2) < between < bound.lower_bound(ALPHA)
    config = PromotionConfig(margin=between)
    assert decide(of_forms(weak), config).passed == ("per_shopper",), "alone it has the whole"
    assert decide(of_forms(weak, form("table", gain=0.0)), config).passed == (), "beside a useless one it has half"
    assert decide(of_forms(strong, weak), config).passed == ("table", "per_shopper"), "after another one, the whole"


def test_without_a_charge_nothing_is_decided_and_no_bound_is_shown():
    decision = decide(evidence(alpha=None), PromotionConfig())
    assert decision.action == "preview" and decision.passed == ()
    assert "adloom run" in decision.reasons[0] and "bound" not in " ".join(decision.reasons)


@pytest.mark.parametrize(("model", "used", "action"), [
    ("interest", False, "refuse"), ("creatives", True, "refuse"), ("creatives", False, "promote"),
])  # fmt: skip
def test_a_refused_model_stops_the_policy_that_uses_it(model, used, action):
    refused = {model: Gate(False, ("its calibration is off",)), "new_creatives": used}
    decision = decide(replace(evidence(), **refused), PromotionConfig())
    assert decision.action == action
    if action == "refuse":
        assert model in decision.reasons[0] and "its calibration is off" in decision.reasons[0]


def test_where_the_log_can_carry_no_judgement_a_refused_model_is_told_beside_it():
    decision_evidence = replace(
        evidence(verdict="abstain", reasons=["too few clicks"]), interest=Gate(False, ("it learned little",))
    )
    decision = decide(decision_evidence, PromotionConfig())
    assert decision.action == "abstain"
    assert "too few clicks" in decision.reasons[0] and "it learned little" in decision.reasons[-1]


def test_a_log_that_is_wrong_about_itself_stops_the_bound_of_all_rows():
    """The bound pools the rows of every logging policy, so a small broken log is not left out of it silently."""
    broken = {**form("table"), "gate": None, "critical_findings": ["log of a test: propensities do not sum to 1"]}
    decision = decide(of_forms(broken), PromotionConfig())
    assert decision.action == "abstain" and "propensities do not sum" in decision.reasons[0]


def test_without_a_row_later_than_all_training_it_abstains():
    decision = decide(of_forms({**form("table"), "logs": [], "gate": None}), PromotionConfig())
    assert decision.action == "abstain" and "later than the training rows of both policies" in decision.reasons[0]


def test_a_margin_below_zero_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        PromotionConfig(margin=-1.0)


def test_a_reason_that_holds_for_both_forms_is_given_once():
    alike = [form(name, verdict="abstain", reasons=["287 clicks are too few"]) for name in ("table", "per_shopper")]
    decision = decide(of_forms(*alike), PromotionConfig())
    assert decision.reasons == ("table, per_shopper: 287 clicks are too few",)
    assert Decision.of(decision.to_dict()).replays()


def test_a_record_from_before_rewards_could_be_chosen_is_about_clicks():
    record = decide(evidence(), PromotionConfig()).to_dict()
    del record["evidence"]["reward"]
    assert Decision.of(record) == decide(evidence(), PromotionConfig())
