"""Rewards beyond the click, parts of the lift, and the page, on a log with tables around it."""

import json

import numpy as np
import pandas as pd
import pytest

from components.evaluation import assess
from components.evaluation.breakdowns import element_effects, segment_lifts
from components.evaluation.logged_decisions import logged_decisions
from components.evaluation.outcomes import metrics, outcomes_of
from components.evaluation.reports.evaluation_report import interval_chart, page
from components.settings.sections import EvaluationConfig
from tests.components.evaluation.logs import KnownLog, known_log

QUICK = EvaluationConfig(bootstrap=200, clones=3, clone_impressions=1000, reward_models=(), min_ess=100.0)


def impressions(known: KnownLog, seed: int = 0) -> pd.DataFrame:
    """The contract's table around a log: conversions follow a third of the clicks, the last tenth is not final."""
    log, generator = known.log, np.random.default_rng(seed)
    moment = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(log.n), unit="min")
    bought = (log.reward == 1) & (generator.random(log.n) < 0.33)
    conversion = pd.Series(bought.astype(float))
    late = np.arange(log.n) >= 0.9 * log.n
    open_ = late & (log.reward == 1)
    sold_at = pd.Series(moment + pd.Timedelta("1h")).where(bought & ~open_)
    return pd.DataFrame(
        {
            "impression_id": log.impression,
            "timestamp": moment,
            "shopper_id": log.cluster.astype(str),
            "creative_id": log.action_names[log.action[log.logged]],
            "position": 1,
            "click": log.reward.astype(int),
            "conversion": conversion.mask(open_),
            "conversion_timestamp": sold_at,
            "revenue": (20.0 * conversion).mask(open_),
            "cost": generator.uniform(0.2, 0.4, log.n) * log.reward,
            "feedback": np.where(generator.random(log.n) < 0.02, "hide", None),
        }
    )


def by_name(values) -> dict:
    return {metric.name: metric for metric in values}


def test_rewards_beyond_the_click():
    known = known_log(0, n=8000)
    table = impressions(known)
    by_metric = by_name(metrics(known.log, outcomes_of(table), known.target, None, replicates=200, seed=0))
    assert set(by_metric) == {
        "cvr", "revenue_per_impression", "cost_per_conversion", "roi", "cost_per_click", "negative_feedback",
    }  # fmt: skip
    first_open = int(np.flatnonzero(table["conversion"].isna())[0])
    assert f"{8000 - first_open:,} impressions" in by_metric["cvr"].note
    assert by_metric["cvr"].baseline.value == pytest.approx(
        table["conversion"][:first_open].sum() / table["click"][:first_open].sum()
    )
    assert by_metric["cvr"].change.ci_low < 0 < by_metric["cvr"].change.ci_high, (
        "conversion given click is the same for all"
    )
    assert by_metric["cost_per_click"].target.value == pytest.approx(0.3, rel=0.05)
    assert by_metric["revenue_per_impression"].change.value > 0, "more clicks at the same rate of sales"
    json.dumps([metric.to_dict() for metric in by_metric.values()], allow_nan=False)


def test_a_metric_without_events_has_no_number():
    known = known_log(0, n=500)
    table = impressions(known).assign(feedback=None)
    by_metric = by_name(metrics(known.log, outcomes_of(table), known.target, None, replicates=100, seed=0))
    assert "negative_feedback" not in by_metric
    assert by_metric["cvr"].target is None and "events" in by_metric["cvr"].note


def test_segments_hold_the_true_lift():
    known = known_log(2, n=12_000)
    from dataclasses import replace

    segment = (known.log.context[:, 0] > 0).astype(int)
    parts = segment_lifts(replace(known.log, segment=segment), known.target, None, 400, 0)
    assert [effect.level for effect in parts] == ["0", "1"] and sum(effect.impressions for effect in parts) == 12_000
    pair_segment = np.repeat(segment, 6)
    for effect, level in zip(parts, (0, 1), strict=True):
        inside = pair_segment == level
        gain = ((known.target - known.log.logging) * known.rate)[inside].sum() / (segment == level).sum()
        assert effect.effect.ci_low <= gain <= effect.effect.ci_high


def test_elements_are_not_fooled_by_who_was_shown_what():
    """Action 0 is shown mostly where clicks are frequent; its level must not get the credit."""
    generator = np.random.default_rng(0)
    n = 40_000
    keen = generator.random(n) < 0.5
    chance = np.where(keen, 0.9, 0.1)
    shown = (generator.random(n) >= chance).astype(int)
    rate = np.where(keen, 0.2, 0.05) * np.where(shown == 1, 1.3, 1.0)
    ids = np.array([f"i{row}" for row in range(n)], dtype=object)
    table = pd.DataFrame(
        {
            "impression_id": ids,
            "shopper_id": ids,
            "creative_id": np.array(["a", "b"])[shown],
            "propensity": np.where(shown == 0, chance, 1 - chance),
        }
    )
    pairs = pd.DataFrame({"impression_id": np.repeat(ids, 2), "creative_id": np.tile(["a", "b"], n)})
    creatives = pd.DataFrame({"creative_id": ["a", "b"], "campaign": "c"})
    clicks = (generator.random(n) < rate).astype(float)
    log = logged_decisions(table, pairs, np.arange(0, 2 * n + 1, 2), creatives, clicks)
    effects = {
        effect.level: effect.effect for effect in element_effects(log, "template", np.array(["left", "right"]), 200, 0)
    }
    assert clicks[shown == 0].mean() > clicks[shown == 1].mean(), "click-through says left"
    assert effects["right"].ci_low > 0 and effects["left"].ci_high < 0


def test_the_whole_assessment_and_its_page():
    known = known_log(3, n=4000)
    creatives = pd.DataFrame(
        {"creative_id": known.log.action_names, "template": np.tile(["badge", "plain"], 6), "headline": "same"}
    )
    assessment = assess(known.log, known.target, None, QUICK, impressions=impressions(known), creatives=creatives)
    assert {effect.kind for effect in assessment.elements} == {"template"}, "an element with one level teaches nothing"
    text = page(assessment, truth=known.truth(known.target))
    for heading in ("## Trust card", "## Log integrity", "## Other metrics", "## Effect per element"):
        assert heading in text
    assert f"{known.truth(known.target):.6f}" in text
    assert max(len(line) for line in assessment.evaluation.to_text().splitlines()[3:]) <= 80
    png = interval_chart(assessment.evaluation, known.truth(known.target))
    assert png.startswith(b"\x89PNG") and png == interval_chart(assessment.evaluation, known.truth(known.target))


def test_a_broken_log_abstains_and_says_why():
    known = known_log(3, n=3000)
    table = impressions(known)
    early = table.assign(conversion_timestamp=table["conversion_timestamp"] - pd.Timedelta("2h"))
    creatives = pd.DataFrame({"creative_id": known.log.action_names})
    assessment = assess(known.log, known.target, None, QUICK, impressions=early, creatives=creatives)
    assert assessment.evaluation.verdict == "abstain"
    assert any("come before their impression" in reason for reason in assessment.evaluation.reasons)


def test_quarantine_that_skews_the_arms_abstains():
    known = known_log(3, n=3000)
    table = impressions(known)
    lost = pd.DataFrame({"creative_id": ["a3"] * 120})
    creatives = pd.DataFrame({"creative_id": known.log.action_names})
    assessment = assess(known.log, known.target, None, QUICK, impressions=table, creatives=creatives, quarantine=lost)
    assert assessment.evaluation.verdict == "abstain"
    assert any("are in quarantine" in reason and "a3" in reason for reason in assessment.evaluation.reasons)


def test_bots_are_counted_and_kept():
    known = known_log(4, n=3000)
    table = impressions(known)
    shopper = table["shopper_id"].to_numpy(dtype=object).copy()
    clicked = np.flatnonzero(known.log.reward)[:40]
    shopper[clicked] = "machine"
    table = table.assign(shopper_id=shopper)
    creatives = pd.DataFrame({"creative_id": known.log.action_names})
    evaluation = assess(known.log, known.target, None, QUICK, impressions=table, creatives=creatives).evaluation
    bots = next(finding for finding in evaluation.findings if finding.kind == "bots")
    assert evaluation.n == 3000 and bots.severity == "notice" and "1 shoppers look like bots" in bots.message
