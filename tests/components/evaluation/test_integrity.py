"""A broken log says so; a clean one keeps quiet."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.evaluation.log_checks.implied_propensities import implied_logging
from components.evaluation.log_checks.integrity import check_propensities, check_weights
from components.evaluation.log_checks.rounding import rounding_of
from components.evaluation.log_checks.row_checks import LogRows, bot_like, check_rows, check_shoppers
from components.evaluation.logged_decisions import LoggedDecisions
from tests.components.evaluation.logs import KnownLog, known_log


def critical(known: KnownLog) -> set[str]:
    findings = check_propensities(known.log) + check_weights(known.log, known.target)
    return {finding.kind for finding in findings if finding.severity == "critical"}


def relogged(known: KnownLog, logging: np.ndarray) -> KnownLog:
    return replace(known, log=replace(known.log, logging=logging, propensity=logging[known.log.logged]))


def test_clean_logs_keep_quiet():
    alarms = [kind for seed in range(60) for kind in critical(known_log(seed, n=2000))]
    assert len(alarms) <= 1, alarms


def test_propensities_out_of_range():
    known = known_log(0)
    wrong = known.log.propensity.copy()
    wrong[:3] = [0.0, np.nan, 1.5]
    findings = check_propensities(replace(known.log, propensity=wrong))
    assert (
        findings[0].severity == "critical" and "3 impressions" in findings[0].message and "'0'" in findings[0].message
    )


def test_propensities_that_do_not_sum():
    known = known_log(0)
    assert "propensity_sum" in critical(relogged(known, known.log.logging * 0.95))


def test_propensity_other_than_the_candidates():
    known = known_log(0)
    other = replace(known, log=replace(known.log, propensity=known.log.propensity * 0.95))
    assert "propensity_mismatch" in critical(other)


def test_propensities_that_agree_up_to_their_rounding():
    """Two columns of one policy: float64 candidates and float32, float16 or rounded impressions."""
    known = known_log(0)
    for written in (known.log.propensity.astype("float32"), known.log.propensity.astype("float16")):
        assert "propensity_mismatch" not in critical(
            replace(known, log=replace(known.log, propensity=written.astype(float)))
        )
    rounded = replace(known, log=replace(known.log, propensity=np.round(known.log.propensity, 3)))
    assert "propensity_mismatch" not in critical(rounded)


def test_a_tiny_propensity_that_is_wrong_by_half_is_a_mismatch():
    """1e-6 beside 2e-6: an absolute tolerance of 1e-5 called them equal."""
    known = known_log(0)
    logging, propensity = known.log.logging.copy(), known.log.propensity.copy()
    pairs = slice(known.log.offsets[5], known.log.offsets[6])
    logging[pairs] = (1 - 2e-6) / 5
    logging[known.log.logged[5]], propensity[5] = 2e-6, 1e-6
    findings = check_propensities(replace(known.log, logging=logging, propensity=propensity))
    assert any(finding.kind == "propensity_mismatch" and finding.severity == "critical" for finding in findings)


def test_rounded_candidates_of_an_honest_log_raise_no_alarm():
    for decimals in (2, 3, 4):
        known = known_log(0, n=20_000)
        rounded = np.maximum(np.round(known.log.logging, decimals), 10.0**-decimals)
        assert critical(relogged(known, rounded)) == set()


def with_sets(share: dict[tuple[str, ...], list[float]], stated, n: int = 4000, seed: int = 0) -> LoggedDecisions:
    """Impressions of several action sets shown by `share`; `stated(actions, shown)` is the logged propensity."""
    generator = np.random.default_rng(seed)
    sets = list(share)
    names = sorted({name for actions in sets for name in actions})
    which = generator.integers(0, len(sets), n)
    action = [names.index(name) for row in which for name in sets[row]]
    offsets = np.concatenate([[0], np.cumsum([len(sets[row]) for row in which])])
    shown = [int(generator.choice(len(sets[row]), p=share[sets[row]])) for row in which]
    return LoggedDecisions(
        impression=np.arange(n), offsets=offsets, action=np.array(action), logged=offsets[:-1] + shown,
        propensity=np.array([stated(sets[row], place) for row, place in zip(which, shown, strict=True)]),
        reward=np.zeros(n), cluster=np.arange(n), action_names=np.array(names, dtype=object), context=np.zeros((n, 0)),
    )  # fmt: skip


SETS = {("a", "b", "c"): [0.5, 0.3, 0.2], ("b", "c"): [0.6, 0.4], ("c",): [1.0]}


def test_the_distribution_of_a_policy_without_contexts_is_implied_by_what_was_shown():
    log = with_sets(SETS, lambda actions, place: SETS[actions][place])
    implied = implied_logging(log, rounding_of(log.propensity))
    assert implied.n == log.n
    first = int(np.flatnonzero(np.diff(log.offsets) == 3)[0])
    pairs = slice(log.offsets[first], log.offsets[first + 1])
    assert implied.logging[pairs] == pytest.approx([0.5, 0.3, 0.2])
    assert not any(finding.severity != "ok" for finding in check_propensities(log))


def test_no_distribution_is_implied_where_propensities_vary_or_do_not_sum_to_1():
    def varied(actions, place):
        return SETS[actions][place] * (0.9 if len(actions) > 1 else 1.0)

    generator = np.random.default_rng(0)
    alone = with_sets(SETS, varied)
    vague = with_sets(SETS, lambda actions, place: SETS[actions][place] * generator.uniform(0.98, 1.0))
    for log in (alone, vague):
        implied = implied_logging(log, rounding_of(log.propensity))
        assert implied is None


def test_uniform_claims_are_held_against_every_action_set():
    log = with_sets(SETS, lambda actions, place: 1 / len(actions))
    findings = {finding.kind: finding for finding in check_propensities(log)}
    assert findings["sample_ratio"].severity == "critical" and "a 6" in findings["sample_ratio"].message
    honest = {actions: [1 / len(actions)] * len(actions) for actions in SETS}
    sound = check_propensities(with_sets(honest, lambda actions, place: 1 / len(actions)))
    assert not any(finding.severity == "critical" for finding in sound)


def test_an_arm_of_a_claimed_uniform_log_that_never_arrives():
    shares = {("a", "b", "c", "d"): [1 / 3, 1 / 3, 1 / 3, 0.0]}
    findings = {finding.kind: finding for finding in check_propensities(with_sets(shares, lambda actions, place: 0.25))}
    assert findings["support"].severity == "critical" and "such as d" in findings["support"].message


def test_one_sided_checks_of_clean_logs_keep_quiet_and_see_a_stale_policy():
    """Propensities that depend on contexts, without candidates: alarms on sound logs, and of a blunter policy."""
    alarms = []
    for seed in range(60):
        known = known_log(seed, n=2000)
        alarms += critical(replace(known, log=replace(known.log, logging=None)))
    assert len(alarms) <= 1, alarms
    known = known_log(0, n=20_000, sharpness=1.0)
    blunt = known.log.logging**0.5
    blunt = blunt / np.repeat(blunt.reshape(-1, 6).sum(axis=1), 6)
    stale = relogged(known, blunt)
    findings = check_propensities(replace(stale.log, logging=None))
    assert any(finding.severity == "critical" for finding in findings)


def test_a_policy_other_than_the_one_logged():
    known = known_log(0, n=20_000, sharpness=1.0)
    blunt = known.log.logging**0.7
    blunt = blunt / np.repeat(blunt.reshape(-1, 6).sum(axis=1), 6)
    assert {"propensity_calibration", "sample_ratio"} <= critical(relogged(known, blunt))


def test_lost_rows_of_some_arms():
    known = known_log(0, n=10_000)
    shown = known.log.action[known.log.logged]
    remaining = np.flatnonzero((shown >= 6) | (np.random.default_rng(0).random(10_000) < 0.8))
    from components.evaluation.logged_decisions import pairs_of

    lost = replace(known, log=known.log.rows(remaining), target=known.target[pairs_of(known.log.offsets, remaining)])
    assert "sample_ratio" in critical(lost)


def test_an_arm_that_never_arrives():
    known = known_log(0, n=10_000)
    from components.evaluation.logged_decisions import pairs_of

    remaining = np.flatnonzero(known.log.action[known.log.logged] != 3)
    lost = replace(known, log=known.log.rows(remaining), target=known.target[pairs_of(known.log.offsets, remaining)])
    assert "support" in critical(lost)


def test_a_dominating_row_is_inconclusive():
    known = known_log(0, n=500)
    logging = known.log.propensity.copy()
    logging[0] = 1e-6
    findings = check_weights(replace(known.log, logging=None, propensity=logging), known.target)
    assert findings[0].kind == "mean_weight" and findings[0].severity == "inconclusive"


def trail(n: int = 2000, seed: int = 0) -> LogRows:
    generator = np.random.default_rng(seed)
    return LogRows(
        impression=np.arange(n).astype(str).astype(object),
        timestamp=np.datetime64("2026-01-01", "us") + np.sort(generator.integers(0, 10**12, n)).astype("m8[us]"),
        shopper=generator.integers(0, 400, n).astype(str).astype(object),
        action=generator.integers(0, 10, n).astype(str).astype(object),
        position=np.ones(n, np.int64),
        click=(generator.random(n) < 0.02).astype(np.int64),
        conversion_timestamp=np.full(n, np.datetime64("NaT", "us")),
    )


def alarms(rows: LogRows) -> set[str]:
    return {finding.kind for finding in check_rows(rows) if finding.severity == "critical"}


def test_a_clean_trail_keeps_quiet():
    assert alarms(trail()) == set() and not bot_like(trail()).any()


def test_duplicates_order_and_time_travel():
    clean = trail()
    again = np.sort(np.concatenate([np.arange(2000), [5, 9]]))
    doubled = replace(
        clean, **{name: getattr(clean, name)[again] for name in clean.__dataclass_fields__ if name != "quarantined"}
    )
    assert "duplicates" in alarms(doubled)
    assert "order" in alarms(replace(clean, timestamp=clean.timestamp[::-1]))
    early = clean.conversion_timestamp.copy()
    bought = np.flatnonzero(clean.click)[:2]
    early[bought] = clean.timestamp[bought] - np.timedelta64(1, "h")
    assert "time_travel" in alarms(replace(clean, conversion_timestamp=early))


def test_bots_are_flagged_and_people_are_not():
    clean = trail()
    shopper, click = clean.shopper.copy(), clean.click.copy()
    shopper[:40], click[:40:2] = "machine", 1
    flagged = bot_like(replace(clean, shopper=shopper, click=click))
    assert flagged[:40].all() and not flagged[40:].any()


def test_quarantine_that_hits_some_actions_more():
    even = pd.Series(dict.fromkeys(map(str, range(10)), 20))
    skewed = even.where(even.index != "3", 90)
    assert "quarantine" not in alarms(replace(trail(), quarantined=even))
    assert "quarantine" in alarms(replace(trail(), quarantined=skewed))


def test_quarantine_alike_for_all_actions_is_so_only_beside_the_rows_that_are_judged():
    """3 % of all rows are lost at random; half of the actions are shown in the first half, the others in the second."""
    clean = trail(4000)
    action = np.where(np.arange(4000) < 2000, clean.action.astype(int) % 5, clean.action.astype(int) % 5 + 5)
    lost = np.random.default_rng(1).random(4000) < 0.03
    judged = np.arange(4000) >= 2000

    def beside(rows: np.ndarray) -> LogRows:
        rows_of_actions = replace(clean, action=action.astype(str).astype(object))
        columns = {
            name: getattr(rows_of_actions, name)[judged & ~lost]
            for name in rows_of_actions.__dataclass_fields__
            if name != "quarantined"
        }
        return replace(rows_of_actions, **columns, quarantined=pd.Series(rows_of_actions.action[rows]).value_counts())

    assert "quarantine" in alarms(beside(lost))
    assert "quarantine" not in alarms(beside(lost & judged))


def test_whole_days_are_coarse_and_not_doubled():
    """Rows of one shopper and creative on one day are as many impressions, unless an id is there twice."""
    clean = trail()
    days = clean.timestamp.astype("datetime64[D]").astype("datetime64[us]")
    daily = replace(clean, timestamp=np.sort(days), shopper=np.array(["s1"] * 2000, dtype=object))
    findings = {finding.kind: finding for finding in check_rows(daily)}
    assert findings["duplicates"].severity == "ok"
    assert findings["coarse_times"].severity == "notice" and "whole days" in findings["coarse_times"].message
    twice = replace(daily, impression=np.where(np.arange(2000) == 9, "8", daily.impression).astype(object))
    assert "duplicates" in alarms(twice)
    assert "coarse_times" not in {finding.kind for finding in check_rows(clean)}


def test_rows_of_unknown_shoppers_at_one_second_are_not_doubled():
    clean = trail()
    seconds = clean.timestamp.astype("datetime64[s]").astype("datetime64[us]")
    seconds[1:200] = seconds[0]
    same = {"timestamp": seconds, "action": np.array(["a"] * 2000, dtype=object), "click": np.zeros(2000, np.int64)}
    unknown = replace(clean, **same, shopper=np.array([""] * 2000, dtype=object))
    assert "duplicates" not in alarms(unknown)
    assert "duplicates" in alarms(replace(unknown, shopper=np.array(["s1"] * 2000, dtype=object)))


def test_a_sale_on_the_day_of_its_impression_is_not_before_it():
    clean = trail()
    sold = clean.conversion_timestamp.copy()
    bought = np.flatnonzero(clean.click)
    sold[bought] = clean.timestamp[bought].astype("datetime64[D]")
    assert "time_travel" not in alarms(replace(clean, conversion_timestamp=sold))
    sold[bought[0]] -= np.timedelta64(1, "D")
    assert "time_travel" in alarms(replace(clean, conversion_timestamp=sold))


def test_unknown_shoppers_are_no_bot_and_are_counted():
    clean = trail()
    shopper, click = clean.shopper.copy(), clean.click.copy()
    shopper[:900], click[:900:3] = "", 1
    anonymous = replace(clean, shopper=shopper, click=click)
    assert not bot_like(anonymous)[:900].any()
    findings = {finding.kind: finding for finding in check_rows(anonymous)}
    assert findings["unknown_shoppers"].severity == "notice" and "900 of 2,000" in findings["unknown_shoppers"].message


def test_the_shopper_with_most_rows_is_named():
    findings = {
        finding.kind: finding for finding in check_shoppers(np.array(["a"] * 3 + ["b"] * 6 + [None], dtype=object))
    }
    assert findings["shopper_share"].message == "shopper 'b' has 60.0% of the impressions"
    assert findings["shopper_share"].severity == "notice" and findings["shopper_share"].share == 0.6
    assert "shopper_id is null" in findings["unknown_shoppers"].message
