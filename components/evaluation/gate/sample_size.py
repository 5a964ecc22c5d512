"""The number of impressions that would prove a lift, by the share of exploration in the logging policy.

Let p be the logging policy and u the uniform policy over the eligible actions. A mean under p_e = (1 - e) p + e u is a
mean over the logged rows, weighted by p_e / p, plus one over the actions that p never shows:

    E_e[f] = mean_i (p_e / p)(a_i) f(a_i, r_i) + mean_i sum_{a: p(a) = 0} p_e(a) f(a, mean reward)                 (1)

So the log's moments give the gate's sums (lift_bound.py) on n impressions logged with any e. For the rate l the growth
is l sum X minus, per impression, the curvature E_e[l X - log(1 + l y) - l g]. A true lift passes with probability POWER
if the bound clears the margin on a total that is that quantile lower:

    growth_l = l (n lift - z sqrt(n E_e[X^2])) - n curvature_l                                                    (2)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
from scipy.stats import norm

from components.evaluation.abstention import MAX_WEIGHT_SHARE
from components.evaluation.gate.evidence import GateEvidence
from components.evaluation.gate.lift_bound import (
    MAX_STAKE,
    SCALE_ROWS,
    LiftRows,
    LiftSums,
    lift_rows,
    lift_sums,
    mixture_lower_bound,
    rates_of,
    reward_ratio,
)
from components.evaluation.logged_decisions import Covered, LoggedDecisions, supported
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig

EXPLORATIONS = (0.05, 0.1, 0.2, 0.5, 1.0)  # shares of exploration that are compared with none
POWER = 0.8  # probability of proving the lift with that many impressions
FIRST_ALPHA = 0.025  # error probability of the first question in the gate's ledger
RENAMED = {"rules": "min_impressions"}  # earlier names of fields in records
MAX_IMPRESSIONS = 1e12  # a lift that needs more counts as never proven


@dataclass(frozen=True)
class ExplorationOption:
    """The moments of one impression logged with a share `exploration` in [0, 1]; rewards scaled to [0, 1].

    square: E_e[X^2]. rates: the l of the gate's mixture on such a log. curvatures: of each rate, see the module.
    min_impressions: what the thresholds on ESS, rewarded rows and the largest weight need; None if no number suffices.
    """

    exploration: float
    square: float
    rates: tuple[float, ...]
    curvatures: tuple[float, ...]
    min_impressions: float | None

    def impressions(self, lift: float, alpha: float, margin: float = 0.0) -> int | None:
        """How many prove a true `lift` to be above `margin` with probability POWER; None if no number does."""
        if self.min_impressions is None or self._bound(MAX_IMPRESSIONS, lift, alpha) <= margin:
            return None
        low, high = np.log(SCALE_ROWS + 1.0), np.log(MAX_IMPRESSIONS)  # the bound rises with n
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self._bound(np.exp(middle), lift, alpha) > margin else (middle, high)
        return int(np.ceil(max(np.exp(high), self.min_impressions)))

    def _bound(self, n: float, lift: float, alpha: float) -> float:
        """The gate's lower bound on n impressions with the total of equation (2)."""
        rates, judged = np.array(self.rates), n - SCALE_ROWS
        total = judged * lift - norm.ppf(POWER) * np.sqrt(judged * self.square)
        return mixture_lower_bound(rates * judged, rates * total - judged * np.array(self.curvatures), alpha)


def current_option(evidence: GateEvidence) -> ExplorationOption:
    """The moments of one impression of the log that the gate's evidence comes from."""
    return _option_of_sums(evidence.sums)


def _option_of_sums(sums: LiftSums) -> ExplorationOption:
    moments, rates = sums.moments, np.array(sums.rates)
    if moments.judged < 1:
        return ExplorationOption(0.0, 0.0, sums.rates, sums.growth, None)
    curvatures = (rates * moments.total - np.array(sums.growth)) / moments.judged
    return ExplorationOption(0.0, moments.squares / moments.judged, sums.rates, tuple(curvatures.tolist()), 0.0)


@dataclass(frozen=True)
class SampleSizes:
    """Numbers of impressions that prove a lift.

    n: impressions of the log. relative_lift: the lift to prove, as a share of the baseline's value; lift: the same with
    rewards in [0, 1]. options: the first is the logging policy as it is, the others explore.
    """

    n: int
    relative_lift: float
    lift: float
    options: tuple[ExplorationOption, ...]

    def needed(self, alpha: float, margin: float = 0.0) -> dict[float, int | None]:
        """The impressions that prove the lift, by share of exploration; None: never. margin: rewards in [0, 1]."""
        return {option.exploration: option.impressions(self.lift, alpha, margin) for option in self.options}

    def sentence(self, alpha: float) -> str:
        """One sentence: impressions needed as logged now, and with the exploration that needs the fewest."""
        needed = self.needed(alpha)
        question = (
            f"a lift of {self.relative_lift:+.0%} (seen with probability {POWER:.0%}, error probability {alpha:.2g})"
        )
        now, explored = needed.pop(0.0), {share: n for share, n in needed.items() if n is not None}
        best = min(explored, key=explored.get, default=None)
        as_now = "no number of impressions logged like these" if now is None else self._amount(now)
        if best is None or (now is not None and explored[best] >= now):
            more = "; more exploration would not help" if now is not None else ", whatever is explored"
            return f"it takes {as_now} to settle {question}{more}"
        if now is None:
            return (
                f"no number of impressions logged like these settles {question}; with {best:.0%} of them explored "
                f"uniformly it takes {self._amount(explored[best])}"
            )
        return (
            f"it takes {as_now} to settle {question}, or {explored[best]:,} with {best:.0%} of them explored uniformly"
        )

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping) -> "SampleSizes":
        """The sample sizes from the record that `to_dict` made; earlier names of fields are accepted."""
        options = tuple(_option_of_record(option) for option in record.get("options", record.get("ways")))
        return cls(record["n"], record["relative_lift"], record["lift"], options)

    def _amount(self, impressions: int) -> str:
        return f"{impressions:,} impressions ({impressions / self.n:.1f} times this log)"


def _option_of_record(record: Mapping) -> ExplorationOption:
    values = {RENAMED.get(name, name): value for name, value in record.items()}
    return ExplorationOption(**{**values, "rates": tuple(record["rates"]), "curvatures": tuple(record["curvatures"])})


def sample_sizes(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, covered: Covered, config: EvaluationConfig
) -> SampleSizes | None:
    """The sample sizes that prove a relative lift of `config.settled_lift`; None if both policies choose alike.

    target, baseline: float64 [n_pairs] on `log`. covered: `log` and the policies without the unsupported actions.
    """
    low, high = log.reward_range
    baseline_weight = np.ones(covered.log.n) if covered.baseline is None else covered.log.weight(covered.baseline)
    if np.allclose(covered.log.weight(covered.target), baseline_weight, rtol=1e-9):
        return None
    lift = config.settled_lift * abs(float((baseline_weight * covered.log.reward).mean())) / (high - low)
    now = _option_as_logged(covered, config)
    rows = lift_rows(log, target, baseline)
    explored = tuple(_explored_option(log, target, baseline, share, rows=rows, config=config) for share in EXPLORATIONS)
    return SampleSizes(log.n, config.settled_lift, lift, (now, *explored))


def _option_as_logged(covered: Covered, config: EvaluationConfig) -> ExplorationOption:
    """The option of no further exploration: the gate's sums, and the thresholds that the log has to meet."""
    log = covered.log
    rows = lift_rows(log, covered.target, covered.baseline)
    weights = (rows.weight,) if covered.baseline is None else (rows.weight, rows.baseline_weight)
    option = _option_of_sums(lift_sums(rows, np.array([log.n]))[0])
    if option.min_impressions is None or covered.uncovered > config.max_uncovered:
        return replace(option, min_impressions=None)
    shares = np.full(log.n, 1 / log.n)
    return replace(option, min_impressions=_min_impressions(shares, weights, rows.reward != 0, config))


@dataclass(frozen=True)
class _Draws:
    """Equation (1) as a weighted sample: arrays [n_draws]. A never-shown action has a row with and one without reward.

    mass: of the draw, summing to 1. weight, baseline_weight: of the policies under p_e. row: the impression.
    """

    mass: np.ndarray
    weight: np.ndarray
    baseline_weight: np.ndarray
    reward: np.ndarray
    score: np.ndarray
    row: np.ndarray


def _explored_option(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    share: float,
    *,
    rows: LiftRows,
    config: EvaluationConfig,
) -> ExplorationOption:
    """The option of equation (1) with e = `share`. rows: of the lift, as logged."""
    draws = _draws(log, target, baseline, share, rows)
    distance = draws.weight - draws.baseline_weight
    factor = _factor(draws, distance)
    guess = np.minimum(factor * draws.score, 1.0 / np.maximum(draws.weight, 1.0))
    correction = distance * (draws.reward - guess)
    expected = factor * rows.score_lift[draws.row]
    scale = _baseline_scale(log, baseline, share)
    rates = rates_of(reward_ratio(rows.reward), float((draws.mass * distance**2).sum()), scale)
    weights = (draws.weight,) if baseline is None else (draws.weight, draws.baseline_weight)
    return ExplorationOption(
        exploration=share,
        square=float((draws.mass * (correction + expected) ** 2).sum()),
        rates=tuple(rates.tolist()),
        curvatures=tuple(_curvature(rate, draws, correction) for rate in rates),
        min_impressions=_min_impressions(draws.mass, weights, draws.reward != 0, config),
    )


def _draws(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, share: float, rows: LiftRows
) -> _Draws:
    counts = np.diff(log.offsets)
    probability = (1 - share) * log.propensity + share / counts  # p_e of the shown action
    baseline_weight = (log.propensity if baseline is None else baseline[log.logged]) / probability
    mass, impressions = probability / log.propensity / log.n, np.arange(log.n)
    shown = _Draws(mass, target[log.logged] / probability, baseline_weight, rows.reward, rows.score, impressions)
    pairs = np.flatnonzero(~supported(log)) if share else np.zeros(0, dtype=np.int64)
    row = np.repeat(impressions, counts)[pairs]
    explored = share / counts[row]  # p_e of actions never shown
    never_shown = _Draws(
        mass=explored / log.n,
        weight=target[pairs] / explored,
        baseline_weight=np.zeros(len(pairs)) if baseline is None else baseline[pairs] / explored,
        reward=np.zeros(len(pairs)),
        score=_scores(log, pairs),
        row=row,
    )
    rewarded = float((rows.reward > 0).mean())
    mean_reward = rows.reward.sum() / max(int((rows.reward > 0).sum()), 1)
    with_reward = replace(never_shown, mass=rewarded * never_shown.mass, reward=never_shown.reward + mean_reward)
    return _joined(shown, with_reward, replace(never_shown, mass=(1 - rewarded) * never_shown.mass))


def _joined(*parts: _Draws) -> _Draws:
    return _Draws(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Draws)))


def _scores(log: LoggedDecisions, pairs: np.ndarray) -> np.ndarray:
    """The gate's guess of the pairs' reward, up to a factor (`lift_bound.lift_rows`): float64 [pairs]."""
    if log.logging is None:
        return np.zeros(len(pairs))
    return np.ones(len(pairs)) if log.score is None else np.clip(log.score[pairs], 0.0, 1.0)


def _factor(draws: _Draws, distance: np.ndarray) -> float:
    """The limit of the guess's factor for many rows (`lift_bound.pseudo_outcomes`)."""
    scores = float((draws.mass * (distance * draws.score) ** 2).sum())
    return 0.0 if scores == 0 else float((draws.mass * distance**2 * draws.reward * draws.score).sum()) / scores


def _curvature(rate: float, draws: _Draws, correction: np.ndarray) -> float:
    """E_e[l y - log(1 + l y)], with y at least -MAX_STAKE / l, as the gate's guess ensures."""
    stake = np.maximum(rate * correction, -MAX_STAKE)
    return float((draws.mass * (stake - np.log1p(stake))).sum())


def _baseline_scale(log: LoggedDecisions, baseline: np.ndarray | None, share: float) -> float:
    """The gate's scale c: the largest weight of the baseline on the first impressions, at least 1."""
    first = min(log.n, SCALE_ROWS)
    if log.logging is None:
        probability = (1 - share) * log.propensity + share / np.diff(log.offsets)
        baseline_weight = (log.propensity if baseline is None else baseline[log.logged]) / probability
        return max(1.0, float(baseline_weight[:first].max()))
    pairs = slice(0, log.offsets[first])
    policy = (log.logging if baseline is None else baseline)[pairs]
    probability = ((1 - share) * log.logging + share / spread(np.diff(log.offsets), log.offsets))[pairs]
    return max(1.0, float(np.divide(policy, probability, out=np.zeros_like(probability), where=probability > 0).max()))


def _min_impressions(
    mass: np.ndarray, weights: tuple[np.ndarray, ...], rewarded: np.ndarray, config: EvaluationConfig
) -> float | None:
    """The impressions at which the thresholds of `abstention.trust_warnings` are met; None: never."""
    numbers = [config.min_clicks / float((mass * rewarded).sum())]
    for weight in weights:
        mean = float((mass * weight).sum())
        if mean == 0:
            return None
        numbers.append(config.min_ess * float((mass * weight**2).sum()) / mean**2)
        numbers.append(float(weight.max()) / (MAX_WEIGHT_SHARE * mean))
    return max(numbers)
