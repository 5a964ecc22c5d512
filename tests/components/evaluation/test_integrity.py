"""A broken log says so; a clean one keeps quiet."""

from dataclasses import replace

import numpy as np
import pandas as pd

from components.evaluation.integrity import check_propensities, check_weights
from components.evaluation.trail import Trail, bot_like, check_trail
from tests.components.evaluation.logs import KnownLog, known_log


def critical(known: KnownLog) -> set[str]:
    found = check_propensities(known.log) + check_weights(known.log, known.target)
    return {it.kind for it in found if it.severity == "critical"}


def relogged(known: KnownLog, logging: np.ndarray) -> KnownLog:
    return replace(known, log=replace(known.log, logging=logging, propensity=logging[known.log.logged]))


def test_clean_logs_keep_quiet():
    alarms = [kind for seed in range(60) for kind in critical(known_log(seed, n=2000))]
    assert len(alarms) <= 1, alarms


def test_propensities_out_of_range():
    known = known_log(0)
    wrong = known.log.propensity.copy()
    wrong[:3] = [0.0, np.nan, 1.5]
    found = check_propensities(replace(known.log, propensity=wrong))
    assert found[0].severity == "critical" and "3 impressions" in found[0].words and "'0'" in found[0].words


def test_propensities_that_do_not_sum():
    known = known_log(0)
    assert "propensity_sum" in critical(relogged(known, known.log.logging * 0.95))


def test_propensity_other_than_the_candidates():
    known = known_log(0)
    other = replace(known, log=replace(known.log, propensity=known.log.propensity * 0.95))
    assert "propensity_mismatch" in critical(other)


def test_a_policy_other_than_the_one_logged():
    known = known_log(0, n=20_000, sharpness=1.0)
    blunt = known.log.logging**0.7
    blunt = blunt / np.repeat(blunt.reshape(-1, 6).sum(axis=1), 6)
    assert {"propensity_calibration", "sample_ratio"} <= critical(relogged(known, blunt))


def test_lost_rows_of_some_arms():
    known = known_log(0, n=10_000)
    shown = known.log.action[known.log.logged]
    kept = np.flatnonzero((shown >= 6) | (np.random.default_rng(0).random(10_000) < 0.8))
    from components.evaluation.log import pairs_of

    lost = replace(known, log=known.log.rows(kept), target=known.target[pairs_of(known.log.offsets, kept)])
    assert "sample_ratio" in critical(lost)


def test_an_arm_that_never_arrives():
    known = known_log(0, n=10_000)
    from components.evaluation.log import pairs_of

    kept = np.flatnonzero(known.log.action[known.log.logged] != 3)
    lost = replace(known, log=known.log.rows(kept), target=known.target[pairs_of(known.log.offsets, kept)])
    assert "support" in critical(lost)


def test_a_dominating_row_is_inconclusive():
    known = known_log(0, n=500)
    logging = known.log.propensity.copy()
    logging[0] = 1e-6
    found = check_weights(replace(known.log, logging=None, propensity=logging), known.target)
    assert found[0].kind == "mean_weight" and found[0].severity == "inconclusive"


def trail(n: int = 2000, seed: int = 0) -> Trail:
    generator = np.random.default_rng(seed)
    return Trail(
        impression=np.arange(n).astype(str).astype(object),
        timestamp=np.datetime64("2026-01-01", "us") + np.sort(generator.integers(0, 10**12, n)).astype("m8[us]"),
        shopper=generator.integers(0, 400, n).astype(str).astype(object),
        action=generator.integers(0, 10, n).astype(str).astype(object),
        position=np.ones(n, np.int64),
        click=(generator.random(n) < 0.02).astype(np.int64),
        conversion_timestamp=np.full(n, np.datetime64("NaT", "us")),
    )


def alarms(it: Trail) -> set[str]:
    return {found.kind for found in check_trail(it) if found.severity == "critical"}


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

    def beside(rows: np.ndarray) -> Trail:
        own = replace(clean, action=action.astype(str).astype(object))
        kept = {name: getattr(own, name)[judged & ~lost] for name in own.__dataclass_fields__ if name != "quarantined"}
        return replace(own, **kept, quarantined=pd.Series(own.action[rows]).value_counts())

    assert "quarantine" in alarms(beside(lost))
    assert "quarantine" not in alarms(beside(lost & judged))
