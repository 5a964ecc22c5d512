"""A lower bound on a policy's lift that holds at every look and any sample size (a confidence sequence).

The pseudo-outcome of impression i is doubly robust (Waudby-Smith et al., arXiv 2210.10768, section 2):

    X_i = g_i + y_i,   y_i = (w_i - b_i) (r_i - q_i),   g_i = sum_a (pi - beta)(a | x_i) q_i(x_i, a)              (1)

w, b: weights of the target pi and the baseline beta at the shown action; r in [0, 1]; q_i a guess of the mean reward,
fixed before row i is drawn. E[X_i | past, x_i] = v_i, the lift of row i. So E[1 + l y_i] = 1 + l (v_i - g_i), which is
at most exp(l (v_i - g_i)), and if 1 + l y_i > 0

    exp(sum_i log(1 + l y_i) + l g_i - l v_i)                                                                      (2)

is a nonnegative supermartingale for every fixed l: betting on y (Waudby-Smith & Ramdas 2024), linear in v, so that the
v_i may change with time. A mixture of (2) over l is one too, and Ville's inequality gives

    P(for some t: sum_l p(l) exp(growth_l(t) - l (v_1 + .. + v_t)) >= 1 / alpha) <= alpha.                         (3)

With probability 1 - alpha, the mean lift of the impressions after the first SCALE_ROWS, each in its context and given
its past, is above the bound at all looks. This needs no approximation and no minimum sample size.

- The best l for a relative lift d is about d / E[(w - b)^2], whatever the click rate. The mixture is over d (LIFTS).
  The first SCALE_ROWS impressions set E[(w - b)^2] and are not judged; nothing later changes the rates.
- The target's probabilities may sum to less than 1. The missing mass, and mass on actions with propensity 0, counts as
  if it earned the low end of the range; such mass of a baseline counts as if it earned the high end.
- Large weights of the target make the bound wider but never invalid. The scale c is the largest weight of the baseline
  on the first SCALE_ROWS impressions, and y >= -c: if b - w of an action is above c on a later impression, its q is at
  least 1 - c / (b - w). X stays unbiased, because all of this is known before the action is drawn.
- If only the shown propensity is known, that is impossible: `_growth` states the assumption that replaces it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_maxima, row_sums

SCALE_ROWS = 200  # impressions that set the rates of the mixture
LIFTS = np.geomspace(3e-4, 3.0, 24)  # relative lifts d of the mixture; neighbours differ by a factor of 1.5
TYPICAL_LIFT, PRIOR_SPREAD = 0.03, 0.8  # median and log standard deviation of the log-normal part of the mixture
UNIFORM_SHARE = 0.1  # of the mixture, uniform in log d
MAX_STAKE = 0.9  # l c, so 1 + l y >= 0.1
HEADROOM = 4.0  # of c over the weights of the first rows, where only shown propensities are known
RENAMED_MOMENTS = {"largest_behind": "largest_baseline_excess"}  # earlier names of fields in records
WARM_UP = 100  # impressions over which the guess q grows to its full size


def _log_prior() -> np.ndarray:
    likely = np.exp(-0.5 * (np.log(LIFTS / TYPICAL_LIFT) / PRIOR_SPREAD) ** 2)
    return np.log((1 - UNIFORM_SHARE) * likely / likely.sum() + UNIFORM_SHARE / len(LIFTS))


LOG_PRIOR = _log_prior()


@dataclass(frozen=True)
class LiftRows:
    """The bound's input for each impression, in order of time: arrays [n]; rewards scaled to [0, 1].

    score: a guess of the reward of the shown action, up to a factor; score_lift: sum_a (pi - beta)(a) score(a);
    max_score: max_a score(a) max(1, w(a)). floor, floor_lift: the same for 1 - c / (b - w) where that is above 0; on
    such rows the score is 0. unsupported_mass: the baseline's mass on actions without support, counted as if it earned
    the high end. partial: whether the other actions' propensities are needed and unknown (bool). scale: c.
    """

    weight: np.ndarray
    baseline_weight: np.ndarray
    reward: np.ndarray
    score: np.ndarray
    score_lift: np.ndarray
    max_score: np.ndarray
    floor: np.ndarray
    floor_lift: np.ndarray
    unsupported_mass: np.ndarray
    partial: np.ndarray
    scale: float

    @property
    def n(self) -> int:
        """The number of impressions."""
        return len(self.reward)

    @classmethod
    def from_weights(
        cls,
        weight: np.ndarray,
        baseline_weight: np.ndarray,
        reward: np.ndarray,
        max_baseline_weight: float = 1.0,
        max_weight: float | None = None,
    ) -> "LiftRows":
        """Rows from weights alone, both with mean 1. max_baseline_weight: the largest weight of the baseline.

        max_weight: that of the target; with it the guess q is the running mean reward, without it 0.
        """
        zeros = np.zeros(len(reward))
        score, max_score = (zeros, zeros) if max_weight is None else (zeros + 1.0, zeros + max(1.0, max_weight))
        guess = (score, zeros, max_score)
        scale = max(1.0, max_baseline_weight)
        return cls(weight, baseline_weight, reward, *guess, zeros, zeros, zeros, zeros > 0, scale)

    def at(self, index: np.ndarray | slice) -> "LiftRows":
        """The rows at `index`, in that order, at the same scale."""
        arrays = {field.name: getattr(self, field.name)[index] for field in fields(self) if field.name != "scale"}
        return LiftRows(**arrays, scale=self.scale)


def lift_rows(log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None) -> LiftRows:
    """Rows of `log` for the lift of `target` over `baseline` (float64 [n_pairs]; None: the logging policy)."""
    low, high = log.reward_range
    reward, weight = (log.reward - low) / (high - low), log.weight(target)
    baseline_weight = np.ones(log.n) if baseline is None else log.weight(baseline)
    if log.logging is None:
        return shown_only_rows(weight, baseline_weight, reward, baseline is not None)
    with_support = log.logging > 0
    target, policy = target * with_support, (log.logging if baseline is None else baseline) * with_support
    target_ratio, baseline_ratio = _ratio(target, log.logging), _ratio(policy, log.logging)
    scale = max(1.0, float(baseline_ratio[: log.offsets[min(log.n, SCALE_ROWS)]].max(initial=0.0)))
    score = np.ones(len(policy)) if log.score is None else np.clip(log.score, 0.0, 1.0)
    floor = np.maximum(1.0 - scale / np.maximum(baseline_ratio - target_ratio, scale), 0.0)
    floored = row_maxima(floor, log.offsets) > 0
    return LiftRows(
        weight,
        baseline_weight,
        reward,
        score=np.where(floored, 0.0, score[log.logged]),
        score_lift=np.where(floored, 0.0, row_sums((target - policy) * score, log.offsets)),
        max_score=row_maxima(score * np.maximum(target_ratio, 1.0), log.offsets),
        floor=floor[log.logged],
        floor_lift=row_sums((target - policy) * floor, log.offsets),
        unsupported_mass=np.zeros(log.n) if baseline is None else _missing(policy, log.offsets),
        partial=np.zeros(log.n, dtype=bool),
        scale=scale,
    )


def shown_only_rows(weight: np.ndarray, baseline_weight: np.ndarray, reward: np.ndarray, partial: bool) -> LiftRows:
    """Rows if only the shown propensity is known. The guess is 0, because its truncation needs all the weights."""
    zeros, largest = np.zeros(len(reward)), float(baseline_weight[:SCALE_ROWS].max(initial=1.0))
    scale = HEADROOM * largest if partial else 1.0
    unknown = ("score", "score_lift", "max_score", "floor", "floor_lift", "unsupported_mass")
    arrays = dict.fromkeys(unknown, zeros) | {"partial": np.full(len(reward), partial)}
    return LiftRows(weight=weight, baseline_weight=baseline_weight, reward=reward, **arrays, scale=scale)


def _ratio(policy: np.ndarray, logging: np.ndarray) -> np.ndarray:
    return np.divide(policy, logging, out=np.zeros_like(logging), where=logging > 0)


def _missing(policy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mass that `policy` lacks per impression, float64 [n]; 0 if it is rounding."""
    missing = 1.0 - row_sums(policy, offsets)
    return np.where(missing > 1e-5, missing, 0.0)


@dataclass(frozen=True)
class PseudoOutcomes:
    """Equation (1) for each impression: float64 [n]."""

    correction: np.ndarray  # y
    expected: np.ndarray  # g, minus the unsupported mass


def pseudo_outcomes(rows: LiftRows) -> PseudoOutcomes:
    """X_i = correction + expected, with q_i = theta_i score_i.

    theta_i is the least-squares factor of all earlier rows, sum (w-b)^2 r score / sum (w-b)^2 score^2. It minimises the
    variance of y, so a useless score gets a small factor. It is at most 1 / max_score, so that q <= 1 and w q <= 1 for
    every action.
    """
    distance = rows.weight - rows.baseline_weight
    earlier = np.arange(rows.n)  # number of earlier rows
    rewards = _before(distance**2 * rows.reward * rows.score)
    scores = _before((distance * rows.score) ** 2)
    factor = np.divide(rewards, scores, out=np.zeros(rows.n), where=scores > 0) * earlier / (earlier + WARM_UP)
    factor = np.minimum(factor, np.divide(1.0, rows.max_score, out=np.ones(rows.n), where=rows.max_score > 0))
    correction = distance * (rows.reward - factor * rows.score - rows.floor)
    return PseudoOutcomes(correction, factor * rows.score_lift + rows.floor_lift - rows.unsupported_mass)


def _before(values: np.ndarray) -> np.ndarray:
    """Sum of all earlier values: [n] -> [n]."""
    return np.concatenate([[0.0], np.cumsum(values)[:-1]]) if len(values) else values


@dataclass(frozen=True)
class Moments:
    """Sums over the first `impressions` without the SCALE_ROWS that are not judged: `judged` rows.

    total, squares: of X. largest_loss: the largest -X. distance_squares: of w - b. largest_baseline_excess: the
    largest b - w. reward_squares, largest_reward: of the rewards. rewarded: rows with a reward above 0.
    """

    impressions: int
    judged: int
    total: float
    squares: float
    largest_loss: float
    distance_squares: float
    largest_baseline_excess: float
    reward_squares: float
    largest_reward: float
    rewarded: int

    @property
    def loss_share(self) -> float:
        """The share of the sum of squares of X that one row has: the largest loss, or a possible loss.

        With a large loss the normal approximation of a lower bound is too high; with a large gain it is too low. The
        possible loss is that of the row with the largest b - w if it had the largest reward: without such a reward so
        far, the baseline looks worse than it is.
        """
        expected = self.distance_squares * self.reward_squares / max(self.judged, 1)
        possible_loss = self.largest_baseline_excess * self.largest_reward
        return max(_share(self.largest_loss**2, self.squares), _share(possible_loss**2, expected))

    @classmethod
    def from_dict(cls, record: Mapping) -> "Moments":
        """The moments from the record that `dataclasses.asdict` made; earlier names of fields are accepted."""
        return cls(**{RENAMED_MOMENTS.get(name, name): value for name, value in record.items()})


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0


@dataclass(frozen=True)
class LiftSums:
    """The sums from which the bounds at one look follow for any alpha.

    rates: l of the mixture. growth: sum of log(1 + l y) + l g for each. moments: at this look.
    """

    rates: tuple[float, ...]
    growth: tuple[float, ...]
    moments: Moments

    def lower(self, alpha: float) -> float:
        """The anytime-valid lower bound: the m at which the mixture (3) equals 1 / alpha, by bisection."""
        if self.moments.judged < 1:
            return float("-inf")
        return mixture_lower_bound(np.array(self.rates) * self.moments.judged, np.array(self.growth), alpha)

    @classmethod
    def from_dict(cls, record: Mapping) -> "LiftSums":
        """The sums from the record that `dataclasses.asdict` made."""
        return cls(tuple(record["rates"]), tuple(record["growth"]), Moments.from_dict(record["moments"]))


def mixture_lower_bound(slopes: np.ndarray, growth: np.ndarray, alpha: float) -> float:
    """The m with logsumexp(LOG_PRIOR + growth - slopes m) = log(1 / alpha), by bisection, because it falls in m."""
    threshold = np.log(1 / alpha)
    low = float(((LOG_PRIOR + growth - threshold) / slopes).max())  # here one rate alone reaches the threshold
    high = float(((LOG_PRIOR + growth - threshold + np.log(len(slopes))) / slopes).max())  # here all together do not
    for _ in range(60):
        middle = (low + high) / 2
        exponents = LOG_PRIOR + growth - slopes * middle - threshold
        low, high = (middle, high) if np.exp(exponents).sum() >= 1.0 else (low, middle)
    return low


def lift_rates(rows: LiftRows) -> np.ndarray:
    """The l of the mixture, from the first SCALE_ROWS rows: d E[r] / (E[r^2] E[(w - b)^2]), at most MAX_STAKE / c."""
    first = rows.at(slice(0, SCALE_ROWS))
    distance = float(((first.weight - first.baseline_weight) ** 2).mean()) if first.n else 1.0
    return rates_of(reward_ratio(first.reward), distance, rows.scale)


def rates_of(ratio: float, distance: float, scale: float) -> np.ndarray:
    """The l of the mixture for E[r] / E[r^2], E[(w - b)^2] and c: float64 [n_rates]."""
    return np.minimum(LIFTS * ratio / max(distance, 1e-9), MAX_STAKE / scale)


def reward_ratio(reward: np.ndarray) -> float:
    """E[r] / E[r^2], which is 1 for clicks: the smaller the rewards, the larger the best rate l.

    One reward of 1 is added to both sums, so that a few rewards do not decide.
    """
    return float((reward.sum() + 1.0) / ((reward**2).sum() + 1.0))


def lift_sums(rows: LiftRows, looks: np.ndarray) -> list[LiftSums]:
    """The sums at each look (int64 [n_looks], ascending), as a loop over the first `look` rows would give them."""
    rates = lift_rates(rows)
    judged = rows.at(slice(SCALE_ROWS, None))
    outcomes = pseudo_outcomes(rows)
    outcomes = PseudoOutcomes(outcomes.correction[SCALE_ROWS:], outcomes.expected[SCALE_ROWS:])
    counts = np.clip(np.asarray(looks) - SCALE_ROWS, 0, judged.n)
    growth = np.column_stack([_sums(_growth(rate, judged, outcomes), counts) for rate in rates])
    moments = _moments(outcomes, judged, np.asarray(looks), counts)
    rates = tuple(rates.tolist())
    return [LiftSums(rates, tuple(row.tolist()), at_look) for row, at_look in zip(growth, moments, strict=True)]


def _growth(rate: float, rows: LiftRows, outcomes: PseudoOutcomes) -> np.ndarray:
    """log(1 + l y) + l g of each row: float64 [n].

    A `partial` row whose shown weight b of the baseline is above c counts as log(1/2), without a bet. That is valid if
    no such action earns more than 1 / (2 l b) on average: an assumption, because only the shown action's weight is
    known. At b = 100 and l = 0.01 it is a mean reward of 50 %.
    """
    over = rows.partial & (rows.baseline_weight > rows.scale)
    if not over.any():
        return np.log1p(rate * outcomes.correction) + rate * outcomes.expected
    growth = np.log1p(rate * np.where(over, 0.0, outcomes.correction)) + rate * outcomes.expected
    return np.where(over, np.log(0.5), growth)


def _sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums of the first `counts` values [n]: float64 [n_looks]."""
    return np.concatenate([[0.0], np.cumsum(values)])[counts]


def _moments(outcomes: PseudoOutcomes, rows: LiftRows, looks: np.ndarray, counts: np.ndarray) -> list[Moments]:
    outcome, distance = outcomes.correction + outcomes.expected, rows.weight - rows.baseline_weight
    columns = {
        "total": _sums(outcome, counts),
        "squares": _sums(outcome**2, counts),
        "largest_loss": _largest(-outcome, counts),
        "distance_squares": _sums(distance**2, counts),
        "largest_baseline_excess": _largest(-distance, counts),
        "reward_squares": _sums(rows.reward**2, counts),
        "largest_reward": _largest(rows.reward, counts),
    }
    rewarded = _sums(rows.reward > 0, counts)
    return [
        Moments(
            int(looks[i]), int(counts[i]), rewarded=int(rewarded[i]), **{k: float(v[i]) for k, v in columns.items()}
        )
        for i in range(len(looks))
    ]


def _largest(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The largest of the first `counts` values [n], at least 0: float64 [n_looks]."""
    return np.maximum.accumulate(np.concatenate([[0.0], values]))[counts]


def lower_lift(rows: LiftRows, alpha: float, looks: np.ndarray) -> np.ndarray:
    """Anytime-valid lower bounds on the lift at each look, rewards in [0, 1]: float64 [n_looks]."""
    return np.array([sums.lower(alpha) for sums in lift_sums(rows, looks)])
