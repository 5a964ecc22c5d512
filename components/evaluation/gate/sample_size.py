"""What would settle a question that a log cannot: how many impressions, logged with how much exploration.

Had the log been written by p_e = (1 - e) p + e u, with p the logging policy and u uniform over the eligible actions, a
mean under p_e would be one over the logged rows, each weighing p_e / p, and over the actions that p never shows:

    E_e[f] = mean_i (p_e / p)(a_i) f(a_i, r_i) + mean_i sum_{a: p(a) = 0} p_e(a) f(a, mean reward)                 (1)

So the log's own moments say what the gate's sums (lift_bound.py) would be on n impressions logged with any e. For the
rate l the growth is l sum X, less what the logarithm takes away: per impression, the curvature E_e[l X - log(1 + l y)
- l g]. A true lift passes with probability POWER where the bound clears the margin on a total that lies that quantile
lower:

    growth_l = l (n lift - z sqrt(n E_e[X^2])) - n curvature_l                                                    (2)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
from scipy.stats import norm

from components.evaluation.abstention import LARGEST_SHARE
from components.evaluation.gate.evidence import GateEvidence
from components.evaluation.gate.lift_bound import (
    MOST_STAKE,
    SCALE_ROWS,
    LiftRows,
    LiftSums,
    lift_rows,
    lift_sums,
    lower_from,
    rates_of,
    reward_ratio,
)
from components.evaluation.logged_decisions import Covered, LoggedDecisions, supported
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig

EXPLORED = (0.05, 0.1, 0.2, 0.5, 1.0)  # shares of exploration that are weighed against none
POWER = 0.8  # of seeing the lift once so many impressions are there
FIRST = 0.025  # error probability that the gate's ledger gives its first question
MOST = 1e12  # impressions; what needs more is never settled


@dataclass(frozen=True)
class Logging:
    """Per impression logged with a share `exploration` in [0, 1]; rewards scaled to [0, 1].

    square: E_e[X^2]. rates: the l of the gate's mixture on such a log; curvatures: of each, see the module. rules:
    impressions that the thresholds on ESS, rewarded rows and the largest weight ask for; None where no number of them
    is enough.
    """

    exploration: float
    square: float
    rates: tuple[float, ...]
    curvatures: tuple[float, ...]
    rules: float | None

    def impressions(self, lift: float, alpha: float, margin: float = 0.0) -> int | None:
        """How many it takes to prove a true `lift` above `margin` with probability POWER; None: no number would do."""
        if self.rules is None or self._bound(MOST, lift, alpha) <= margin:
            return None
        low, high = np.log(SCALE_ROWS + 1.0), np.log(MOST)  # the bound rises with n
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self._bound(np.exp(middle), lift, alpha) > margin else (middle, high)
        return int(np.ceil(max(np.exp(high), self.rules)))

    def _bound(self, n: float, lift: float, alpha: float) -> float:
        """The gate's lower bound on n impressions whose total lies as low as equation (2) says."""
        rates, judged = np.array(self.rates), n - SCALE_ROWS
        total = judged * lift - norm.ppf(POWER) * np.sqrt(judged * self.square)
        return lower_from(rates * judged, rates * total - judged * np.array(self.curvatures), alpha)


def as_logged(evidence: GateEvidence) -> Logging:
    """One impression of the log that the gate's evidence is of."""
    return _as_summed(evidence.sums)


def _as_summed(sums: LiftSums) -> Logging:
    moments, rates = sums.moments, np.array(sums.rates)
    if moments.judged < 1:
        return Logging(0.0, 0.0, sums.rates, sums.growth, None)
    curvatures = (rates * moments.total - np.array(sums.growth)) / moments.judged
    return Logging(0.0, moments.squares / moments.judged, sums.rates, tuple(curvatures.tolist()), 0.0)


@dataclass(frozen=True)
class Outlook:
    """The ways of logging that are weighed, the first as now, and the lift (rewards in [0, 1]) that shall be proven."""

    n: int
    relative_lift: float
    lift: float
    ways: tuple[Logging, ...]

    def needs(self, alpha: float, margin: float = 0.0) -> dict[float, int | None]:
        """Share of exploration -> impressions that prove the lift; None: never. `margin`: rewards in [0, 1]."""
        return {way.exploration: way.impressions(self.lift, alpha, margin) for way in self.ways}

    def sentence(self, alpha: float) -> str:
        """What it takes, for people: as logged now, and with the exploration that needs the fewest impressions."""
        needs = self.needs(alpha)
        asked = (
            f"a lift of {self.relative_lift:+.0%} (seen with probability {POWER:.0%}, error probability {alpha:.2g})"
        )
        now, explored = needs.pop(0.0), {share: n for share, n in needs.items() if n is not None}
        best = min(explored, key=explored.get, default=None)
        as_now = "no number of impressions logged like these" if now is None else self._amount(now)
        if best is None or (now is not None and explored[best] >= now):
            more = "; more exploration would not help" if now is not None else ", whatever is explored"
            return f"it takes {as_now} to settle {asked}{more}"
        if now is None:
            return f"no number of impressions logged like these settles {asked}; with {best:.0%} of them explored " + (
                f"uniformly it takes {self._amount(explored[best])}"
            )
        return f"it takes {as_now} to settle {asked}, or {explored[best]:,} with {best:.0%} of them explored uniformly"

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping) -> "Outlook":
        """The outlook of a record that `to_dict` gave."""
        ways = tuple(
            Logging(**{**way, "rates": tuple(way["rates"]), "curvatures": tuple(way["curvatures"])})
            for way in record["ways"]
        )
        return cls(record["n"], record["relative_lift"], record["lift"], ways)

    def _amount(self, impressions: int) -> str:
        return f"{impressions:,} impressions ({impressions / self.n:.1f} times this log)"


def outlook(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, covered: Covered, config: EvaluationConfig
) -> Outlook | None:
    """What `covered`'s log says about settling a relative lift of `config.settled_lift`; None: both choose alike.

    target, baseline: float64 [n_pairs] on `log`, before what it cannot speak for was removed.
    """
    low, high = log.reward_range
    behind = np.ones(covered.log.n) if covered.baseline is None else covered.log.weight(covered.baseline)
    if np.allclose(covered.log.weight(covered.target), behind, rtol=1e-9):
        return None
    lift = config.settled_lift * abs(float((behind * covered.log.reward).mean())) / (high - low)
    now = _as_logged_now(covered, config)
    rows = lift_rows(log, target, baseline)
    explored = tuple(_way(log, target, baseline, share, rows=rows, config=config) for share in EXPLORED)
    return Outlook(log.n, config.settled_lift, lift, (now, *explored))


def _as_logged_now(covered: Covered, config: EvaluationConfig) -> Logging:
    """The gate's own sums, and the thresholds that the log has to meet."""
    log = covered.log
    rows = lift_rows(log, covered.target, covered.baseline)
    weights = (rows.weight,) if covered.baseline is None else (rows.weight, rows.baseline_weight)
    rules = _rules(np.full(log.n, 1 / log.n), weights, rows.reward != 0, config)
    now = _as_summed(lift_sums(rows, np.array([log.n]))[0])
    return replace(now, rules=None if now.rules is None or covered.uncovered > config.max_uncovered else rules)


@dataclass(frozen=True)
class _Draws:
    """Equation (1) as a weighted sample: arrays [n_draws]. A never-shown action has a row with and one without reward.

    mass: of the draw, summing to 1. row: the impression.
    """

    mass: np.ndarray
    weight: np.ndarray
    behind: np.ndarray
    reward: np.ndarray
    score: np.ndarray
    row: np.ndarray


def _way(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    share: float,
    *,
    rows: LiftRows,
    config: EvaluationConfig,
) -> Logging:
    """Equation (1) with e = `share`: what one impression of such a log is worth. rows: of the lift, as logged."""
    draws = _draws(log, target, baseline, share, rows)
    distance = draws.weight - draws.behind
    factor = _factor(draws, distance)
    guess = np.minimum(factor * draws.score, 1.0 / np.maximum(draws.weight, 1.0))
    surprise = distance * (draws.reward - guess)
    expected = factor * rows.score_lift[draws.row]
    scale = _most_behind(log, baseline, share)
    rates = rates_of(reward_ratio(rows.reward), float((draws.mass * distance**2).sum()), scale)
    weights = (draws.weight,) if baseline is None else (draws.weight, draws.behind)
    return Logging(
        exploration=share,
        square=float((draws.mass * (surprise + expected) ** 2).sum()),
        rates=tuple(rates.tolist()),
        curvatures=tuple(_curvature(rate, draws, surprise) for rate in rates),
        rules=_rules(draws.mass, weights, draws.reward != 0, config),
    )


def _draws(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, share: float, rows: LiftRows
) -> _Draws:
    counts = np.diff(log.offsets)
    chance = (1 - share) * log.propensity + share / counts  # p_e of the shown action
    behind = (log.propensity if baseline is None else baseline[log.logged]) / chance
    mass, every = chance / log.propensity / log.n, np.arange(log.n)
    shown = _Draws(mass, target[log.logged] / chance, behind, rows.reward, rows.score, every)
    pairs = np.flatnonzero(~supported(log)) if share else np.zeros(0, dtype=np.int64)
    row = np.repeat(every, counts)[pairs]
    apart = share / counts[row]  # p_e of actions never shown
    never = _Draws(
        mass=apart / log.n,
        weight=target[pairs] / apart,
        behind=np.zeros(len(pairs)) if baseline is None else baseline[pairs] / apart,
        reward=np.zeros(len(pairs)),
        score=_scores(log, pairs),
        row=row,
    )
    rewarded = float((rows.reward > 0).mean())
    usual = rows.reward.sum() / max(int((rows.reward > 0).sum()), 1)
    with_reward = replace(never, mass=rewarded * never.mass, reward=never.reward + usual)
    return _joined(shown, with_reward, replace(never, mass=(1 - rewarded) * never.mass))


def _joined(*parts: _Draws) -> _Draws:
    return _Draws(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Draws)))


def _scores(log: LoggedDecisions, pairs: np.ndarray) -> np.ndarray:
    """The guess that the gate makes of the pairs' reward, up to a factor (`lift_bound.lift_rows`)."""
    if log.logging is None:
        return np.zeros(len(pairs))
    return np.ones(len(pairs)) if log.score is None else np.clip(log.score[pairs], 0.0, 1.0)


def _factor(draws: _Draws, distance: np.ndarray) -> float:
    """What the factor of the guess comes to in the long run (`lift_bound.outcomes`)."""
    possible = float((draws.mass * (distance * draws.score) ** 2).sum())
    return 0.0 if possible == 0 else float((draws.mass * distance**2 * draws.reward * draws.score).sum()) / possible


def _curvature(rate: float, draws: _Draws, surprise: np.ndarray) -> float:
    """E_e[l y - log(1 + l y)]; y is held above -MOST_STAKE / l, which the gate's own guess sees to."""
    stake = np.maximum(rate * surprise, -MOST_STAKE)
    return float((draws.mass * (stake - np.log1p(stake))).sum())


def _most_behind(log: LoggedDecisions, baseline: np.ndarray | None, share: float) -> float:
    """What would set the gate's scale: the largest weight of the baseline on the first impressions."""
    first = min(log.n, SCALE_ROWS)
    if log.logging is None:
        chance = (1 - share) * log.propensity + share / np.diff(log.offsets)
        behind = (log.propensity if baseline is None else baseline[log.logged]) / chance
        return max(1.0, float(behind[:first].max()))
    pairs = slice(0, log.offsets[first])
    policy = (log.logging if baseline is None else baseline)[pairs]
    chance = ((1 - share) * log.logging + share / spread(np.diff(log.offsets), log.offsets))[pairs]
    return max(1.0, float(np.divide(policy, chance, out=np.zeros_like(chance), where=chance > 0).max()))


def _rules(
    mass: np.ndarray, weights: tuple[np.ndarray, ...], rewarded: np.ndarray, config: EvaluationConfig
) -> float | None:
    """Impressions after which the thresholds of `verdict.doubts` are met."""
    asked = [config.min_clicks / float((mass * rewarded).sum())]
    for weight in weights:
        mean = float((mass * weight).sum())
        if mean == 0:
            return None
        asked.append(config.min_ess * float((mass * weight**2).sum()) / mean**2)
        asked.append(float(weight.max()) / (LARGEST_SHARE * mean))
    return max(asked)
