"""The bound of the lift: its equations by hand and by a naive loop, its validity and its power."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import binom, norm

from components.evaluation.gate.evidence import gate_evidence
from components.evaluation.gate.lift_bound import (
    LOG_PRIOR,
    MAX_STAKE,
    SCALE_ROWS,
    LiftRows,
    lift_rates,
    lift_rows,
    lift_sums,
    lower_lift,
    mixture_lower_bound,
    pseudo_outcomes,
)
from components.evaluation.logged_decisions import Covered, LoggedDecisions, cover
from tests.components.evaluation.logs import known_log
from tests.components.evaluation.rates import fails_at, limits
from tests.components.evaluation.test_boundaries import two_actions


def champion_of(log: LoggedDecisions, seed: int = 0) -> np.ndarray:
    """A baseline that has little to do with the log, so that some of its weights are large: float64 [n_pairs]."""
    raised = np.random.default_rng(seed).random(len(log.action)) ** 3 + 0.01
    return raised / np.repeat(np.add.reduceat(raised, log.offsets[:-1]), np.diff(log.offsets))


def sharp_after(row: int, champion: np.ndarray) -> np.ndarray:
    """The champion, but for showing the first of six actions nearly always from `row` on."""
    sharp = np.tile([0.95, 0.01, 0.01, 0.01, 0.01, 0.01], len(champion) // 6 - row)
    return np.concatenate([champion[: row * 6], sharp])


def scored_log(seed: int = 0, n: int = 900):
    known = known_log(seed, n=n, click_rate=0.2)
    score = np.clip(known.rate * np.random.default_rng(1).uniform(0.5, 1.5, len(known.rate)), 0, 1)
    return known, replace(known.log, score=score)


def naive_growth(log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, float]:
    """Equations (1) and (2) in a loop over impressions and actions: growth of each rate, and the sum of X."""
    scale = max(1.0, max(baseline[pair] / log.logging[pair] for pair in range(log.offsets[SCALE_ROWS])))
    distances = [(log.weight(target)[i] - log.weight(baseline)[i]) ** 2 for i in range(SCALE_ROWS)]
    rates = lift_rates(lift_rows(log, target, baseline))
    assert rates.max() <= MAX_STAKE / scale and rates[0] == pytest.approx(3e-4 / np.mean(distances))
    growth, total, earned, possible = np.zeros(len(rates)), 0.0, 0.0, 0.0
    for i in range(log.n):
        pairs = range(log.offsets[i], log.offsets[i + 1])
        ahead = {pair: target[pair] / log.logging[pair] for pair in pairs}
        behind = {pair: baseline[pair] / log.logging[pair] for pair in pairs}
        over = {pair: 1 - scale / (behind[pair] - ahead[pair]) for pair in pairs if behind[pair] - ahead[pair] > scale}
        factor = 0.0 if possible == 0 else earned / possible * i / (i + 100)
        factor = min(factor, 1 / max(log.score[pair] * max(ahead[pair], 1) for pair in pairs))
        guess = {pair: over.get(pair, 0.0) if over else factor * log.score[pair] for pair in pairs}
        shown = log.logged[i]
        distance = ahead[shown] - behind[shown]
        y = distance * (log.reward[i] - guess[shown])
        g = sum((target[pair] - baseline[pair]) * guess[pair] for pair in pairs)
        assert all((ahead[pair] - behind[pair]) * (r - guess[pair]) >= -scale - 1e-9 for pair in pairs for r in (0, 1))
        if i >= SCALE_ROWS:
            growth += np.log(1 + rates * y) + rates * g
            total += y + g
        if not over:
            earned += distance**2 * log.reward[i] * log.score[shown]
            possible += (distance * log.score[shown]) ** 2
    return growth, total


def test_the_sums_are_those_of_a_naive_loop():
    known, log = scored_log()
    champion = sharp_after(600, champion_of(log))
    rows = lift_rows(log, known.target, champion)
    assert (rows.floor_lift != 0).any()  # some rows are over the scale
    (sums,) = lift_sums(rows, np.array([log.n]))
    growth, total = naive_growth(log, known.target, champion)
    assert np.array(sums.growth) == pytest.approx(growth, rel=1e-9)
    assert sums.moments.total == pytest.approx(total)
    assert sums.moments.judged == log.n - SCALE_ROWS


def test_the_outcome_is_unbiased_whatever_the_guess():
    """Summed over the actions with their propensities, X is the lift of each row, also where a weight is too large."""
    known, log = scored_log()
    champion = sharp_after(600, champion_of(log))
    expected = np.zeros(log.n)
    for place in range(6):
        shown = log.offsets[:-1] + place
        for reward, chance in ((1.0, known.rate[shown]), (0.0, 1 - known.rate[shown])):
            other = replace(log, logged=shown, propensity=log.logging[shown], reward=np.full(log.n, reward))
            rows = lift_rows(other, known.target, champion)
            made = pseudo_outcomes(replace(rows, score=0 * rows.score, score_lift=0 * rows.score_lift))
            expected += log.logging[shown] * chance * (made.correction + made.expected)
    assert expected == pytest.approx(log.expected(known.rate, known.target) - log.expected(known.rate, champion))


def test_the_bound_by_hand():
    """One rate: log(p) + growth - slope m = log(1 / alpha). All rates alike: the prior sums to 1."""
    growth = np.full(24, -np.inf)
    growth[7] = 9.0
    assert mixture_lower_bound(np.full(24, 50.0), growth, 0.05) == pytest.approx((9.0 + LOG_PRIOR[7] - np.log(20)) / 50)
    assert mixture_lower_bound(np.full(24, 50.0), np.full(24, 9.0), 0.05) == pytest.approx((9.0 - np.log(20)) / 50)
    assert logsumexp(LOG_PRIOR) == pytest.approx(0.0, abs=1e-12)


def test_the_guess_by_hand():
    """Rows with w - b = 1 and score 1: the factor is the mean of earlier rewards, grown by i / (i + 100)."""
    ones = np.ones(4)
    made = pseudo_outcomes(LiftRows.from_weights(2 * ones, ones, np.array([1.0, 0.0, 1.0, 0.0]), 1.0, 2.0))
    assert made.correction == pytest.approx([1.0, -1 / 101, 1 - 0.5 * 2 / 102, -2 / 3 * 3 / 103])
    held = pseudo_outcomes(LiftRows.from_weights(2 * ones, ones, np.array([1.0, 1.0, 1.0, 1.0]), 1.0, 1000.0))
    assert held.correction[1:] == pytest.approx(1 - 1 / 1000)  # so that q w <= 1 for the largest weight


def test_a_look_at_a_longer_log_gives_the_bound_of_the_shorter_one():
    """Nothing that comes later changes the scale, the rates or the guess: not even a much larger baseline weight."""
    known, log = scored_log(n=1200)
    champion = sharp_after(1000, champion_of(log))
    early = lift_sums(lift_rows(log, known.target, champion), np.array([900, 1200]))[0]
    short = log.rows(np.arange(900))
    (alone,) = lift_sums(lift_rows(short, known.target[: 900 * 6], champion[: 900 * 6]), np.array([900]))
    assert early.rates == alone.rates
    assert np.array(early.growth) == pytest.approx(np.array(alone.growth))
    assert early.lower(0.05) == pytest.approx(alone.lower(0.05))


def test_a_useless_challenger_passes_as_seldom_as_claimed_at_every_look():
    """Looked at after every tenth row; a z-test that looks as often fails the same test by far."""
    alpha, n, runs = 0.3, 3000, 400
    looks = np.arange(SCALE_ROWS + 10, n + 1, 10)
    fooled, naive = 0, 0
    for seed in range(runs):
        sums = lift_sums(two_actions(seed, n, rate=0.3), looks)
        fooled += max(look.lower(alpha) for look in sums[::-4]) > 0
        naive += max(look.moments.total / np.sqrt(look.moments.squares + 1e-12) for look in sums) > norm.isf(alpha)
    assert binom.sf(fooled - 1, runs, alpha) > 0.001
    assert fooled >= 0.1 * alpha * runs  # it spends a good part of what it may
    assert fails_at(0.095, fooled, runs), fooled  # 19 of the first 200 seeds
    assert binom.sf(naive - 1, runs, alpha) < 1e-6


@pytest.mark.parametrize(
    ("kind", "rate"), [("wrong_score", 0.41), ("champion", 0.43), ("heavy", 0.29), ("shown_only", 0.43)]
)
def test_hard_logs_fool_it_as_seldom_as_claimed(kind, rate):
    """At alpha 20 and 80 %, on logs whose rewards depend on no action, so that the true lift is 0.

    rate: how often it is fooled at 80 %, as measured; at 20 % it hardly ever is.
    """
    runs, fooled = 150, {0.2: 0, 0.8: 0}
    for seed in range(runs):
        known = known_log(seed, n=1500, sharpness=3.0 if kind == "heavy" else 0.5)
        generator = np.random.default_rng(seed + 1000)
        log = replace(known.log, reward=(generator.random(1500) < 0.2).astype(float))
        champion = champion_of(log, seed) if kind in ("champion", "shown_only") else None
        if kind == "wrong_score":
            log = replace(log, score=(log.action == 0) * 1.0)
        if kind == "shown_only":
            log = replace(log, logging=None)
        sums = lift_sums(lift_rows(log, known.target, champion), np.arange(300, 1501, 100))
        for alpha in fooled:
            fooled[alpha] += max(look.lower(alpha) for look in sums) > 0
    assert fooled[0.2] <= limits(runs, 0.02)[1], fooled
    assert fails_at(rate, fooled[0.8], runs), fooled


def fan_lower(rows: LiftRows, alpha: float) -> float:
    """The bound of earlier versions: mixtures over rates and clips of Fan-type supermartingales, no model."""
    rates = np.geomspace(1e-4, 0.9, 16)
    psi, exponents = -np.log1p(-rates) - rates, []
    for clip in (4.0, 16.0, np.inf):
        values = (np.minimum(rows.weight, clip) - rows.baseline_weight) * rows.reward
        exponents.append((rates * values.sum() - psi * (values**2).sum(), rates * rows.n))
    low, high = -1.0, 1.0
    for _ in range(60):
        m = (low + high) / 2
        evidence = logsumexp(np.concatenate([growth - slope * m for growth, slope in exponents]))
        low, high = (m, high) if evidence >= np.log(48 / alpha) else (low, m)
    return low


def test_it_sees_more_than_the_bound_of_earlier_versions():
    new, old = 0, 0
    for seed in range(60):
        rows = two_actions(seed, 50_000, lift=0.05)
        new += lower_lift(rows, 0.025, np.array([50_000]))[0] > 0
        old += fan_lower(rows, 0.025) > 0
    assert new >= old + 9


def test_a_wrong_model_costs_little_and_a_good_one_helps():
    known = known_log(2, n=20_000, click_rate=0.3)
    generator = np.random.default_rng(0)
    scores = {"none": None, "wrong": generator.random(len(known.rate)), "good": known.rate}
    bounds = {
        name: gate_evidence(cover(replace(known.log, score=score), known.target, None), (), 0.0, 0.1).lower_bound(0.025)
        for name, score in scores.items()
    }
    truth = known.truth(known.target) - known.truth(known.log.logging)
    assert bounds["good"] > bounds["none"]
    assert bounds["none"] - bounds["wrong"] < 0.25 * (truth - bounds["none"])


def test_mass_that_the_target_lacks_earns_nothing():
    """A tenth of the target goes to creatives that no log speaks of: charged to the bound, and no evidence of harm."""
    known = known_log(3, n=20_000, click_rate=0.2)
    log = replace(known.log, segment=np.arange(20_000) % 2)
    whole, lacking = (
        gate_evidence(Covered(log, share * known.target, None, 0.0, 0), (), 0.0, 0.1) for share in (1.0, 0.9)
    )
    value = 0.1 * float((known.log.weight(known.target) * known.log.reward).mean())
    assert whole.lower_bound(0.025) - lacking.lower_bound(0.025) == pytest.approx(value, rel=0.15)
    assert lacking.harms == ()


def test_mass_on_actions_that_were_never_shown_earns_nothing_whatever_the_model_says():
    known, log = scored_log()
    shown = log.action != 0
    chance = np.where(shown, log.logging, 0.0)
    chance /= np.repeat(np.add.reduceat(chance, log.offsets[:-1]), 6)
    keep = np.flatnonzero(shown[log.logged])
    pair = (keep[:, None] * 6 + np.arange(6)).ravel()
    log = replace(log, logging=chance, propensity=chance[log.logged]).rows(keep)
    target, known_mass = known.target[pair], np.where(shown, known.target, 0.0)[pair]
    made, alone = (pseudo_outcomes(lift_rows(log, policy, None)).expected for policy in (target, known_mass))
    assert made == pytest.approx(alone) and (target != known_mass).any()


def test_mass_that_a_baseline_lacks_is_charged_as_if_it_earned_the_most():
    known = known_log(3, n=2000)
    rows = lift_rows(known.log, known.target, 0.7 * champion_of(known.log))
    assert rows.unsupported_mass == pytest.approx(0.3)
    assert lift_rows(known.log, known.target, known.log.logging).unsupported_mass == pytest.approx(0.0)


def test_rows_of_two_logging_policies_share_one_bound():
    """The champion, the baseline, logged the second half: weight 1. Pooled, the halves say more than each alone."""
    known = known_log(4, n=30_000, click_rate=0.2)
    champion = champion_of(known.log)
    half = np.arange(known.log.n) >= 15_000
    pairs = np.repeat(half, 6)
    pooled = replace(known.log, logging=np.where(pairs, champion, known.log.logging))
    generator = np.random.default_rng(0)
    shown = pooled.offsets[:-1] + (
        generator.random((30_000, 1)) > np.cumsum(pooled.logging.reshape(-1, 6), axis=1)
    ).sum(axis=1).clip(0, 5)
    reward = (generator.random(30_000) < known.rate[shown]).astype(float)
    pooled = replace(pooled, logged=shown, propensity=pooled.logging[shown], reward=reward)
    rows = lift_rows(pooled, known.target, champion)
    assert rows.baseline_weight[half] == pytest.approx(1.0)
    truth = known.truth(known.target) - known.truth(champion)
    bounds = []
    for index in (np.arange(30_000), np.flatnonzero(~half), np.flatnonzero(half)):
        pair = (index[:, None] * 6 + np.arange(6)).ravel()
        covered = Covered(pooled.rows(index), known.target[pair], champion[pair], 0.0, 0)
        bounds.append(gate_evidence(covered, (), 0.0, 0.1).lower_bound(0.025))
    assert max(bounds[1:]) < bounds[0] < truth


def test_a_log_shorter_than_what_sets_the_scale_proves_nothing():
    assert lower_lift(two_actions(0, SCALE_ROWS), 0.05, np.array([SCALE_ROWS]))[0] == -np.inf


def test_the_unit_of_money_changes_nothing():
    known = known_log(5, n=5000)
    euros = known.log.reward * np.random.default_rng(0).lognormal(0, 0.5, 5000)
    one, cents = (
        gate_evidence(cover(known.log.with_reward(k * euros, (0.0, 50.0 * k)), known.target, None), (), 0.0, 0.1)
        for k in (1.0, 100.0)
    )
    assert cents.lower_bound(0.05) == pytest.approx(100 * one.lower_bound(0.05))
