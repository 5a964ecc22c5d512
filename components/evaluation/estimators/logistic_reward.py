"""Logistic reward model: slopes of features, and one shrunken effect per action.

    logit q(x, a) = b0 + context(x) . b1 + features(a) . b2 + pair(x, a) . b3 + effect_a

Slopes have a ridge penalty, effects a normal prior (random intercepts); both are fitted by Newton's method. The block
of the effects in the Hessian is diagonal, so thousands of actions cost no more than a few.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.estimators.reward_features import Design

SLOPE_PENALTY = 1.0  # a unit normal prior on the slope of each standardised feature
EFFECT_PENALTY = 16.0  # 1 / 0.25^2: published click-through of one advertiser's creatives spreads by a quarter
MAX_STEPS = 60
CONVERGED = 1e-7  # log-odds: a fit ends with a step shorter than this
MIN_SCALE = 1e-4  # share of Newton's step below which no step is tried
ROUNDING = 1e-13  # relative: a loss that rises by no more counts as unchanged
# the Hessian, ten times as costly as a step, is reused while each step is this much shorter than the last
MIN_SPEED_UP = 4.0


@dataclass(frozen=True)
class LogisticReward:
    """Fitted coefficients, and the inverse Hessian, from which each row's influence on them follows."""

    slopes: np.ndarray  # float64 [1 + p + k + s]
    effects: np.ndarray  # float64 [m]
    inverse: np.ndarray  # float64 [f, f], of the Hessian's Schur complement, f = 1 + p + k + s
    cross: np.ndarray  # float64 [f, m]
    effect_curvature: np.ndarray  # float64 [m]

    def predict(self, design: Design, rows: np.ndarray) -> np.ndarray:
        """q of the pairs of the impressions `rows` (bool [n]): float64 [their pairs], in (0, 1)."""
        intercept, context, action, pair = np.split(self.slopes, _splits(design))
        per_action = design.action @ action + self.effects + intercept[0]
        pairs = np.repeat(rows, np.diff(design.log.offsets))
        logit = np.repeat((design.context @ context)[rows], np.diff(design.log.offsets)[rows])
        logit += per_action[design.log.action[pairs]]
        return 1.0 / (1.0 + np.exp(-(logit + design.pair[pairs] @ pair)))

    def movement(self, gradient: tuple[np.ndarray, np.ndarray], features: np.ndarray, action: np.ndarray) -> np.ndarray:
        """The change of c quantities through this fit per unit of residual in each row: float64 [n, c].

        To first order (the infinitesimal jackknife) it is the quantities' gradients with respect to slopes [f, c] and
        effects [m, c], times the inverse Hessian, times the row's features [n, f] and action [n].
        """
        slopes, effects = gradient
        scaled = effects / self.effect_curvature[:, None]
        on_slopes = self.inverse @ (slopes - self.cross @ scaled)
        on_effects = scaled - (self.cross / self.effect_curvature).T @ on_slopes
        return features @ on_slopes + on_effects[action]


def fit_logistic(design: Design, rows: np.ndarray, start: LogisticReward | None = None) -> LogisticReward:
    """The model fitted on the logged impressions `rows` (bool [n]). start: a similar fit to start from."""
    problem = _problem(design, rows)
    slopes, effects = _start(problem) if start is None else (start.slopes, start.effects)
    logit = problem.features @ slopes + effects[problem.action]
    loss, predicted = problem.loss(logit, slopes, effects), _sigmoid(logit)
    hessian, before = None if start is None else (start.inverse, start.cross, start.effect_curvature), np.inf
    for _ in range(MAX_STEPS):
        hessian = problem.hessian(predicted) if hessian is None else hessian
        step, effect_step = problem.newton_step(hessian, predicted, slopes, effects)
        logit_step = problem.features @ step + effect_step[problem.action]
        scale, max_loss, new_loss = 1.0, loss + ROUNDING * abs(loss), np.inf
        while scale > MIN_SCALE:  # Newton's step overshoots if the loss is not nearly quadratic
            candidate = slopes + scale * step, effects + scale * effect_step
            new_loss = problem.loss(logit + scale * logit_step, *candidate)
            if new_loss <= max_loss:
                break
            scale /= 2
        if new_loss > max_loss:
            break
        (slopes, effects), loss = candidate, new_loss
        logit = logit + scale * logit_step
        predicted = _sigmoid(logit)
        length = scale * max(np.abs(step).max(), np.abs(effect_step).max())
        if length < CONVERGED:
            break
        hessian, before = hessian if length < before / MIN_SPEED_UP else None, length
    return LogisticReward(slopes, effects, *problem.hessian(predicted))


@dataclass(frozen=True)
class _Problem:
    """The rows to fit on, sorted by action, and the penalties of the slopes; size: m, the number of actions."""

    features: np.ndarray  # float64 [n_rows, f]
    action: np.ndarray  # int64 [n_rows]
    reward: np.ndarray  # float64 [n_rows], in [0, 1]
    penalty: np.ndarray  # float64 [f]
    size: int

    def loss(self, logit: np.ndarray, slopes: np.ndarray, effects: np.ndarray) -> float:
        """Negative log-likelihood of the rewards plus the penalties: convex in slopes and effects."""
        likelihood = np.logaddexp(0.0, logit).sum() - self.reward @ logit
        return float(likelihood + 0.5 * (self.penalty @ slopes**2) + 0.5 * EFFECT_PENALTY * (effects @ effects))

    def hessian(self, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `_hessian`; predicted: float64 [n_rows]."""
        return _hessian(self.features, self.action, predicted * (1 - predicted), self.penalty, self.size)

    def newton_step(
        self,
        hessian: tuple[np.ndarray, np.ndarray, np.ndarray],
        predicted: np.ndarray,
        slopes: np.ndarray,
        effects: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Newton's step of slopes [f] and effects [m]."""
        inverse, cross, effect_curvature = hessian
        on_slopes = self.features.T @ (self.reward - predicted) - self.penalty * slopes
        on_effects = np.bincount(self.action, self.reward - predicted, self.size) - EFFECT_PENALTY * effects
        step = inverse @ (on_slopes - cross @ (on_effects / effect_curvature))
        return step, (on_effects - cross.T @ step) / effect_curvature


def _problem(design: Design, rows: np.ndarray) -> _Problem:
    order = np.flatnonzero(rows)
    order = order[np.argsort(design.logged_action[order], kind="stable")]  # rows of one action are adjacent
    features = design.logged_rows[order]
    penalty = np.full(features.shape[1], SLOPE_PENALTY)
    penalty[0] = 1e-8
    return _Problem(features, design.logged_action[order], design.reward[order], penalty, len(design.log.action_names))


def _start(problem: _Problem) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and effects that predict the mean reward; without rows the penalties alone decide the fit."""
    reward = problem.reward
    rate = np.clip(reward.mean(), 1e-6, 1 - 1e-6) if len(reward) else 0.5
    slopes = np.zeros(problem.features.shape[1])
    slopes[0] = np.log(rate / (1 - rate))
    return slopes, np.zeros(problem.size)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logit))


def _hessian(
    features: np.ndarray, action: np.ndarray, curvature: np.ndarray, penalty: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse Schur complement [f, f], cross block [f, m] and the effects' diagonal [m]; rows sorted by action."""
    weighted = features * curvature[:, None]
    block = features.T @ weighted + np.diag(penalty)
    start = np.flatnonzero(np.diff(action, prepend=-1))
    cross = np.zeros((features.shape[1], size))
    cross[:, action[start]] = np.add.reduceat(weighted, start, axis=0).T
    diagonal = np.bincount(action, curvature, size) + EFFECT_PENALTY
    return np.linalg.inv(block - (cross / diagonal) @ cross.T), cross, diagonal


def _splits(design: Design) -> list[int]:
    p, k = design.context.shape[1], design.action.shape[1]
    return [1, 1 + p, 1 + p + k]
