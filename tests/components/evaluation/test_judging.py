"""Rows that select and rows that judge; the bound of all rows together; the share for new creatives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.evaluation.assess import pooled_gate_evidence
from components.evaluation.held_out import HeldOut, rows_from, with_consent, without_shoppers
from components.evaluation.judging import JudgingTables, bot_like_shoppers, judge
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.rewards import REWARDS
from components.features.time_splits import Splits
from components.policies.ragged_rows import row_sums, spread
from tests.components.evaluation.logs import KnownLog, known_log
from tests.components.evaluation.test_assess import QUICK, impressions

ALPHA = 0.025


def tables_of(known: KnownLog, names: np.ndarray) -> tuple[HeldOut, dict[str, pd.DataFrame]]:
    """The log as the stage evaluation has it: rows held out, and the contract's tables. names: logging policies [n]."""
    log = known.log
    table = impressions(known)
    rows = table.assign(
        campaign="c", reward=log.reward, propensity=log.propensity, placement="top", logging_policy=names
    )
    pairs = log.pairs().assign(p_click=0.05, propensity=log.logging)
    held = HeldOut(rows, pairs, log.offsets, None)
    creatives = pd.DataFrame({"creative_id": log.action_names, "campaign": "c"})
    return held, {"impressions": table.assign(logging_policy=names), "creatives": creatives}


def judging_tables(tables: dict[str, pd.DataFrame], findings: tuple[Finding, ...] = ()) -> JudgingTables:
    quarantined = pd.DataFrame({"creative_id": [], "logging_policy": []})
    return JudgingTables(REWARDS["click"], tables["creatives"], tables["creatives"], quarantined, findings)


def judged(known: KnownLog, names: np.ndarray, unlogged_share: float = 0.0):
    held, tables = tables_of(known, names)
    return judge(held, known.target, np.full(known.log.n, unlogged_share), QUICK, judging_tables(tables))


def test_the_bound_pools_the_rows_of_all_logging_policies_and_estimates_stay_apart():
    known = known_log(5, n=6000)
    names = np.where(np.arange(6000) % 4 == 0, "small", "large")
    judgement = judged(known, names)
    assert list(judgement.assessments) == ["large", "small"]
    assert [assessment.evaluation.n for assessment in judgement.assessments.values()] == [4500, 1500]
    assert judgement.gate.impressions == 6000
    alone = judged(known, np.full(6000, "one"))
    assert judgement.gate.lower_bound(ALPHA) == pytest.approx(alone.gate.lower_bound(ALPHA))


def test_one_broken_log_among_them_leaves_no_bound():
    """Rows that are wrong about their propensities would be in the pooled bound too."""
    known = known_log(5, n=6000)
    names = np.where(np.arange(6000) < 4500, "sound", "a test")
    log = known.log
    wrong = np.where(spread(names == "a test", log.offsets), log.logging**0.2, log.logging)
    wrong = wrong / spread(row_sums(wrong, log.offsets), log.offsets)
    broken = replace(known, log=replace(log, logging=wrong, propensity=wrong[log.logged]))
    judgement = judged(broken, names)
    assert judgement.gate is None
    assert any("a test" in finding for finding in judgement.critical_findings())
    assert not any("sound" in finding for finding in judgement.critical_findings())


def test_the_bound_counts_the_share_of_new_creatives_as_if_it_earned_nothing():
    known = known_log(6, n=8000)
    log = known.log
    bounds = {
        share: pooled_gate_evidence(
            log, known.target, None, QUICK, unlogged_share=np.full(log.n, share), impressions=impressions(known)
        ).lower_bound(ALPHA)
        for share in (0.0, 0.1, 1.0)
    }
    value = known.truth(known.target)
    assert bounds[0.0] - bounds[0.1] == pytest.approx(0.1 * value, rel=0.3)
    assert bounds[1.0] < -0.8 * known.truth(log.logging), "who shows new creatives alone may lose all that is earned"


def rows_at(days: list[int]) -> HeldOut:
    moment = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    rows = pd.DataFrame(
        {
            "impression_id": [f"i{day}" for day in days],
            "shopper_id": [f"s{day % 2}" for day in days],
            "timestamp": pd.Series(moment).astype("datetime64[us, UTC]"),
        }
    )
    pairs = pd.DataFrame({"impression_id": np.repeat(rows["impression_id"], 2), "creative_id": ["a", "b"] * len(days)})
    baseline = np.arange(2.0 * len(days))
    return HeldOut(rows, pairs.reset_index(drop=True), np.arange(0, 2 * len(days) + 1, 2), baseline)


def test_a_champion_is_not_judged_on_rows_that_it_learned_from():
    rows = rows_at([1, 2, 3, 4])
    until = int(pd.Timestamp("2026-01-04", tz="UTC").value // 1000)
    later = rows_from(rows, until)
    assert later.impressions["impression_id"].tolist() == ["i3", "i4"]
    assert later.pairs["impression_id"].tolist() == ["i3", "i3", "i4", "i4"]
    assert later.offsets.tolist() == [0, 2, 4] and later.baseline.tolist() == [4, 5, 6, 7]
    assert rows_from(rows, 0) is rows
    none = rows_from(rows, until * 2)
    assert len(none.impressions) == 0 and none.offsets.tolist() == [0]


def test_without_any_row_there_is_no_log_and_no_bound():
    known = known_log(5, n=600)
    held, tables = tables_of(known, np.full(600, "one"))
    none = rows_from(held, 2**62)
    nothing = np.zeros(0)
    judgement = judge(none, nothing, nothing, QUICK, judging_tables(tables))
    assert judgement.assessments == {} and judgement.gate is None


def test_bots_are_told_by_what_they_did_before_the_judged_rows():
    """A judged click that chose which rows judge would choose the answer."""
    known = known_log(4, n=3000)
    table = impressions(known)
    shopper = table["shopper_id"].to_numpy(dtype=object).copy()
    shopper[np.flatnonzero(known.log.reward)[:40]] = "machine"
    assert bot_like_shoppers(table.assign(shopper_id=shopper)) == {"machine"}
    assert bot_like_shoppers(table) == frozenset()
    rows = rows_at([1, 2, 3, 4])
    assert without_shoppers(rows, frozenset({"s1"})).impressions["shopper_id"].tolist() == ["s0", "s0"]
    assert without_shoppers(rows, frozenset()) is rows


def test_who_refused_consent_chooses_nothing_about_a_policy():
    rows = rows_at([1, 2, 3, 4])
    with_refuser = HeldOut(
        rows.impressions.assign(consent=[True, False, True, True]), *(rows.pairs, rows.offsets, None)
    )
    assert with_consent(with_refuser).impressions["impression_id"].tolist() == ["i1", "i3", "i4"]


def test_the_log_is_cut_once_and_each_part_knows_when_it_begins():
    splits = Splits(10, 20, 30)
    assert [splits.starts(name).value for name in ("calibrate", "select", "judge")] == [10_000, 20_000, 30_000]


def test_a_leaked_column_leaves_no_bound_whatever_the_policy():
    """A finding of all rows together counts for every logging policy's log, and so for the pooled bound."""
    known = known_log(5, n=3000)
    held, tables = tables_of(known, np.full(3000, "one"))
    leaked = Finding("leakage", "critical", "creatives.feature_ctr explains more than the past can know")
    judgement = judge(held, known.target, np.zeros(3000), QUICK, judging_tables(tables, (leaked,)))
    assert judgement.gate is None and "feature_ctr" in judgement.critical_findings()[0]
    assert judgement.assessments["one"].evaluation.verdict == "abstain"


def test_without_candidates_the_truth_about_the_logging_policy_is_unknown():
    """A simulated data set without the table `candidates` stopped the stage evaluation."""
    known = known_log(5, n=600)
    held, tables = tables_of(known, np.full(600, "one"))
    shown_only = replace(held, pairs=held.pairs.drop(columns="propensity"))
    told = replace(judging_tables(tables), truth=lambda pairs: np.full(len(pairs), 0.05))
    assert judge(shown_only, known.target, np.zeros(600), QUICK, told).truths == {"one": None}
    assert judge(held, known.target, np.zeros(600), QUICK, told).truths["one"]["lift"] == pytest.approx(0.0)
