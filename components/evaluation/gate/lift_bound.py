"""A lower bound on a policy's lift that holds at every look, whatever the sample size (a confidence sequence).

The pseudo-outcome of impression i is doubly robust (Waudby-Smith et al., arXiv 2210.10768, section 2):

    X_i = g_i + y_i,   y_i = (w_i - b_i) (r_i - q_i),   g_i = sum_a (pi - beta)(a | x_i) q_i(x_i, a)              (1)

w, b: weights of the target pi and the baseline beta at the shown action; r in [0, 1]; q_i a guess of the mean reward
that is fixed before row i is drawn. E[X_i | past, x_i] = v_i, the lift of row i. So E[1 + l y_i] = 1 + l (v_i - g_i),
which is at most exp(l (v_i - g_i)), and as long as 1 + l y_i > 0

    exp(sum_i log(1 + l y_i) + l g_i - l v_i)                                                                      (2)

is a nonnegative supermartingale for every fixed l: betting on y (Waudby-Smith & Ramdas 2024), kept linear in v, so that
the v_i may change with time. A mixture of (2) over l is one too, and Ville's inequality gives

    P(for some t: sum_l p(l) exp(growth_l(t) - l (v_1 + .. + v_t)) >= 1 / alpha) <= alpha.                         (3)

Claimed: the mean lift of the impressions after the first SCALE_ROWS, each in its own context and given its past, is
above the bound at all looks at once with probability 1 - alpha. This needs no approximation and no sample size.

- The best l for a relative lift d is about d / E[(w - b)^2], whatever the click rate. The mixture is over d (LIFTS).
  The first SCALE_ROWS impressions set E[(w - b)^2] and are not judged; nothing later changes the rates.
- A target whose probabilities sum to less than 1 is taken as it is: the missing mass, and mass on actions with
  propensity 0, earns the low end of the range. Such mass of a baseline is charged as if it earned the high end.
- Large weights of the target cost width, never validity. The largest of the baseline's on the first SCALE_ROWS
  impressions is the scale c, and y >= -c: where b - w of an action is above c on a later impression, its q is at least
  1 - c / (b - w). That keeps X unbiased, and all of it is known before the action is drawn.
- Where only the shown propensity is known, that cannot be done: see `_growth` for what is assumed there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_maxima, row_sums

SCALE_ROWS = 200  # impressions that set the rates of the mixture
LIFTS = np.geomspace(3e-4, 3.0, 24)  # relative lifts d of the mixture; neighbours differ by a factor of 1.5
LIKELY_LIFT, SPREAD, HEDGE = 0.03, 0.8, 0.1  # most of the mixture is log-normal; HEDGE of it is uniform in log d
MOST_STAKE = 0.9  # l c, so 1 + l y >= 0.1
HEADROOM = 4.0  # of c over the weights of the first rows, where only shown propensities are known
WARM_UP = 100  # impressions over which the guess q grows to its full size


def _log_prior() -> np.ndarray:
    likely = np.exp(-0.5 * (np.log(LIFTS / LIKELY_LIFT) / SPREAD) ** 2)
    return np.log((1 - HEDGE) * likely / likely.sum() + HEDGE / len(LIFTS))


LOG_PRIOR = _log_prior()


@dataclass(frozen=True)
class LiftRows:
    """What the bound reads of each impression, in order of time: arrays [n]; rewards scaled to [0, 1].

    score: a guess of the reward of the shown action, up to a factor; score_lift: sum_a (pi - beta)(a) score(a);
    most_score: max_a score(a) max(1, w(a)). floor, floor_lift: the same of 1 - c / (b - w) where that is above 0; on
    such rows the score is 0. charge: what the baseline is credited with for mass that the log does not speak for.
    partial: whether the other actions' propensities are unknown while they matter (bool). scale: c.
    """

    weight: np.ndarray
    baseline_weight: np.ndarray
    reward: np.ndarray
    score: np.ndarray
    score_lift: np.ndarray
    most_score: np.ndarray
    floor: np.ndarray
    floor_lift: np.ndarray
    charge: np.ndarray
    partial: np.ndarray
    scale: float

    @property
    def n(self) -> int:
        """How many impressions."""
        return len(self.reward)

    @classmethod
    def from_weights(
        cls,
        weight: np.ndarray,
        baseline_weight: np.ndarray,
        reward: np.ndarray,
        most_baseline: float = 1.0,
        most_weight: float | None = None,
    ) -> "LiftRows":
        """Rows of weights alone, both with mean 1. most_baseline: the baseline's largest weight.

        most_weight: the target's; if given, the guess q is the running mean reward, else 0.
        """
        zeros = np.zeros(len(reward))
        score, most_score = (zeros, zeros) if most_weight is None else (zeros + 1.0, zeros + max(1.0, most_weight))
        guess = (score, zeros, most_score)
        return cls(weight, baseline_weight, reward, *guess, zeros, zeros, zeros, zeros > 0, max(1.0, most_baseline))

    def at(self, index: np.ndarray | slice) -> "LiftRows":
        """The rows at `index`, in that order, at the same scale."""
        arrays = {field.name: getattr(self, field.name)[index] for field in fields(self) if field.name != "scale"}
        return LiftRows(**arrays, scale=self.scale)


def lift_rows(log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None) -> LiftRows:
    """Rows of `log` for the lift of `target` over `baseline` (float64 [n_pairs]; None: the logging policy)."""
    low, high = log.reward_range
    reward, weight = (log.reward - low) / (high - low), log.weight(target)
    behind = np.ones(log.n) if baseline is None else log.weight(baseline)
    if log.logging is None:
        return shown_rows(weight, behind, reward, baseline is not None)
    spoken_for = log.logging > 0
    target, policy = target * spoken_for, (log.logging if baseline is None else baseline) * spoken_for
    ahead, rear = _ratio(target, log.logging), _ratio(policy, log.logging)
    scale = max(1.0, float(rear[: log.offsets[min(log.n, SCALE_ROWS)]].max(initial=0.0)))
    score = np.ones(len(policy)) if log.score is None else np.clip(log.score, 0.0, 1.0)
    floor = np.maximum(1.0 - scale / np.maximum(rear - ahead, scale), 0.0)
    floored = row_maxima(floor, log.offsets) > 0
    return LiftRows(
        weight,
        behind,
        reward,
        score=np.where(floored, 0.0, score[log.logged]),
        score_lift=np.where(floored, 0.0, row_sums((target - policy) * score, log.offsets)),
        most_score=row_maxima(score * np.maximum(ahead, 1.0), log.offsets),
        floor=floor[log.logged],
        floor_lift=row_sums((target - policy) * floor, log.offsets),
        charge=np.zeros(log.n) if baseline is None else _missing(policy, log.offsets),
        partial=np.zeros(log.n, dtype=bool),
        scale=scale,
    )


def shown_rows(weight: np.ndarray, behind: np.ndarray, reward: np.ndarray, partial: bool) -> LiftRows:
    """Rows where only the shown propensity is known: no guess is made, for its truncation needs all the weights."""
    zeros, most = np.zeros(len(reward)), float(behind[:SCALE_ROWS].max(initial=1.0))
    scale = HEADROOM * most if partial else 1.0
    return LiftRows(weight, behind, reward, *[zeros] * 6, np.full(len(reward), partial), scale)


def _ratio(policy: np.ndarray, logging: np.ndarray) -> np.ndarray:
    return np.divide(policy, logging, out=np.zeros_like(logging), where=logging > 0)


def _missing(policy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mass that `policy` lacks per impression, float64 [n]; 0 where it is rounding."""
    missing = 1.0 - row_sums(policy, offsets)
    return np.where(missing > 1e-5, missing, 0.0)


@dataclass(frozen=True)
class Outcomes:
    """Equation (1) for each impression: float64 [n]."""

    surprise: np.ndarray  # y
    expected: np.ndarray  # g, less the charge


def outcomes(rows: LiftRows) -> Outcomes:
    """X_i = surprise + expected, with q_i = theta_i score_i.

    theta_i is the least-squares factor of all earlier rows, sum (w-b)^2 r score / sum (w-b)^2 score^2: it minimises the
    variance of y, so a useless score is shrunk away. It is held below 1 / most_score, so that q <= 1 and w q <= 1 for
    every action.
    """
    distance = rows.weight - rows.baseline_weight
    behind = np.arange(rows.n)
    earned = _before(distance**2 * rows.reward * rows.score)
    possible = _before((distance * rows.score) ** 2)
    factor = np.divide(earned, possible, out=np.zeros(rows.n), where=possible > 0) * behind / (behind + WARM_UP)
    factor = np.minimum(factor, np.divide(1.0, rows.most_score, out=np.ones(rows.n), where=rows.most_score > 0))
    surprise = distance * (rows.reward - factor * rows.score - rows.floor)
    return Outcomes(surprise, factor * rows.score_lift + rows.floor_lift - rows.charge)


def _before(values: np.ndarray) -> np.ndarray:
    """Sum of all earlier values: [n] -> [n]."""
    return np.concatenate([[0.0], np.cumsum(values)[:-1]]) if len(values) else values


@dataclass(frozen=True)
class Moments:
    """Plain sums over the first `impressions`, less the SCALE_ROWS that are not judged: `judged` rows.

    total, squares: of X. largest_loss: the largest -X. distance_squares: of w - b. largest_behind: the
    largest b - w. reward_squares, largest_reward: of the rewards. rewarded: rows with a reward above 0.
    """

    impressions: int
    judged: int
    total: float
    squares: float
    largest_loss: float
    distance_squares: float
    largest_behind: float
    reward_squares: float
    largest_reward: float
    rewarded: int

    @property
    def loss_share(self) -> float:
        """Of the sum of squares of X: what the largest loss has, or the row with the largest b - w if it had a reward.

        Large losses are what the normal approximation of a lower bound is too sure about; large gains make it cautious.
        The second counts because a log in which no impression like that was rewarded yet makes the baseline look bad.
        """
        expected = self.distance_squares * self.reward_squares / max(self.judged, 1)
        would_have = (self.largest_behind * self.largest_reward) ** 2
        return max(_share(self.largest_loss**2, self.squares), _share(would_have, expected))


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0


@dataclass(frozen=True)
class LiftSums:
    """All that the bounds need at one look, whatever their alpha.

    rates: l of the mixture. growth: sum of log(1 + l y) + l g for each. moments: at this look.
    """

    rates: tuple[float, ...]
    growth: tuple[float, ...]
    moments: Moments

    def lower(self, alpha: float) -> float:
        """The anytime-valid lower bound: the m at which the mixture (3) equals 1 / alpha, by bisection."""
        if self.moments.judged < 1:
            return float("-inf")
        return lower_from(np.array(self.rates) * self.moments.judged, np.array(self.growth), alpha)

    @classmethod
    def from_dict(cls, record: Mapping) -> "LiftSums":
        """The sums of a record that `dataclasses.asdict` gave."""
        return cls(tuple(record["rates"]), tuple(record["growth"]), Moments(**record["moments"]))


def lower_from(slopes: np.ndarray, growth: np.ndarray, alpha: float) -> float:
    """The m with logsumexp(LOG_PRIOR + growth - slopes m) = log(1 / alpha); it falls in m, so bisection finds it."""
    needed = np.log(1 / alpha)
    low = float(((LOG_PRIOR + growth - needed) / slopes).max())  # one rate alone reaches it here
    high = float(((LOG_PRIOR + growth - needed + np.log(len(slopes))) / slopes).max())  # all together do not here
    for _ in range(60):
        middle = (low + high) / 2
        exponents = LOG_PRIOR + growth - slopes * middle - needed
        low, high = (middle, high) if np.exp(exponents).sum() >= 1.0 else (low, middle)
    return low


def lift_rates(rows: LiftRows) -> np.ndarray:
    """The l of the mixture, from the first SCALE_ROWS rows: d E[r] / (E[r^2] E[(w - b)^2]), at most MOST_STAKE / c."""
    first = rows.at(slice(0, SCALE_ROWS))
    distance = float(((first.weight - first.baseline_weight) ** 2).mean()) if first.n else 1.0
    return rates_of(reward_ratio(first.reward), distance, rows.scale)


def rates_of(ratio: float, distance: float, scale: float) -> np.ndarray:
    """The l of the mixture for E[r] / E[r^2], E[(w - b)^2] and c: float64 [n_rates]."""
    return np.minimum(LIFTS * ratio / max(distance, 1e-9), MOST_STAKE / scale)


def reward_ratio(reward: np.ndarray) -> float:
    """E[r] / E[r^2], 1 for clicks: the smaller the usual reward, the more of it can be staked.

    One reward of 1 is added to both sums, so that few rewards do not decide.
    """
    return float((reward.sum() + 1.0) / ((reward**2).sum() + 1.0))


def lift_sums(rows: LiftRows, looks: np.ndarray) -> list[LiftSums]:
    """The sums at each look (int64 [n_looks], rising): what a naive loop over the first `look` rows would give."""
    rates = lift_rates(rows)
    judged = rows.at(slice(SCALE_ROWS, None))
    every = outcomes(rows)
    late = Outcomes(every.surprise[SCALE_ROWS:], every.expected[SCALE_ROWS:])
    upto = np.clip(np.asarray(looks) - SCALE_ROWS, 0, judged.n)
    growth = np.column_stack([_upto(_growth(rate, judged, late), upto) for rate in rates])
    moments = _moments(late, judged, np.asarray(looks), upto)
    shared = tuple(rates.tolist())
    return [LiftSums(shared, tuple(row.tolist()), at) for row, at in zip(growth, moments, strict=True)]


def _growth(rate: float, rows: LiftRows, made: Outcomes) -> np.ndarray:
    """log(1 + l y) + l g of each row; [n].

    On a `partial` row whose shown weight b of the baseline is above c no bet is made, and the row counts as log(1/2).
    That is valid as long as no such action earns more than 1 / (2 l b) on average: an assumption, for only the shown
    action's weight is known. At b = 100 and l = 0.01 it is a mean reward of 50 %.
    """
    over = rows.partial & (rows.baseline_weight > rows.scale)
    if not over.any():
        return np.log1p(rate * made.surprise) + rate * made.expected
    steps = np.log1p(rate * np.where(over, 0.0, made.surprise)) + rate * made.expected
    return np.where(over, np.log(0.5), steps)


def _upto(values: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """Sums of the first `upto` values for each entry: [n], [n_looks] -> [n_looks]."""
    return np.concatenate([[0.0], np.cumsum(values)])[upto]


def _moments(made: Outcomes, rows: LiftRows, looks: np.ndarray, upto: np.ndarray) -> list[Moments]:
    outcome, distance = made.surprise + made.expected, rows.weight - rows.baseline_weight
    columns = {
        "total": _upto(outcome, upto),
        "squares": _upto(outcome**2, upto),
        "largest_loss": _largest(-outcome, upto),
        "distance_squares": _upto(distance**2, upto),
        "largest_behind": _largest(-distance, upto),
        "reward_squares": _upto(rows.reward**2, upto),
        "largest_reward": _largest(rows.reward, upto),
    }
    rewarded = _upto(rows.reward > 0, upto)
    return [
        Moments(int(looks[i]), int(upto[i]), rewarded=int(rewarded[i]), **{k: float(v[i]) for k, v in columns.items()})
        for i in range(len(looks))
    ]


def _largest(values: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """The largest of the first `upto` values, at least 0: [n], [n_looks] -> [n_looks]."""
    return np.maximum.accumulate(np.concatenate([[0.0], values]))[upto]


def lower_lift(rows: LiftRows, alpha: float, looks: np.ndarray) -> np.ndarray:
    """Anytime-valid lower bounds on the lift at each look, rewards in [0, 1]: float64 [n_looks]."""
    return np.array([sums.lower(alpha) for sums in lift_sums(rows, looks)])
