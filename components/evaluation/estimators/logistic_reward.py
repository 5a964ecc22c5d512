"""Logistic reward model: features, and one shrunken effect per action.

    logit q(x, a) = b0 + context(x) . b1 + features(a) . b2 + pair(x, a) . b3 + effect_a

Ridge on the slopes, and on the effects as on draws of a normal law (a random intercept), fitted by Newton's method. The
effects' block of the Hessian is diagonal, so thousands of actions cost no more than a few.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.estimators.reward_features import Design

SLOPE_PENALTY = 1.0  # a unit normal prior on the slope of each standardised feature
EFFECT_PENALTY = 16.0  # 1 / 0.25^2: published click-through of one advertiser's creatives spreads by a quarter
STEPS = 60
CLOSE = 1e-7  # log-odds: the last step of a fit
SHORTEST = 1e-4  # share of Newton's step below which a step is not tried
ROUNDING = 1e-13  # relative: a loss that rises by no more has not risen
FASTER = 4.0  # a Hessian serves on while each step is this much shorter than the last, for it costs ten times a step


@dataclass(frozen=True)
class LogisticReward:
    """Fitted coefficients and the inverse Hessian that tells how each row moved them."""

    slopes: np.ndarray  # float64 [1 + p + k + s]
    effects: np.ndarray  # float64 [m]
    inverse: np.ndarray  # float64 [f, f], of the Hessian's Schur complement, f = 1 + p + k + s
    cross: np.ndarray  # float64 [f, m]
    effect_curvature: np.ndarray  # float64 [m]

    def predict(self, design: Design, rows: np.ndarray) -> np.ndarray:
        """q of the pairs of the impressions where `rows` (bool [n]) holds: float64 [their pairs], in (0, 1)."""
        intercept, context, action, pair = np.split(self.slopes, _splits(design))
        per_action = design.action @ action + self.effects + intercept[0]
        mine = np.repeat(rows, np.diff(design.log.offsets))
        logit = np.repeat((design.context @ context)[rows], np.diff(design.log.offsets)[rows])
        logit += per_action[design.log.action[mine]]
        return 1.0 / (1.0 + np.exp(-(logit + design.pair[mine] @ pair)))

    def movement(self, gradient: tuple[np.ndarray, np.ndarray], features: np.ndarray, action: np.ndarray) -> np.ndarray:
        """How much one more unit of residual in each row moves some quantities through this fit: float64 [n, c].

        First-order (the infinitesimal jackknife): the quantities' gradients with respect to slopes [f, c] and effects
        [m, c], times the inverse Hessian, times the row's features [n, f] and action [n].
        """
        slopes, effects = gradient
        scaled = effects / self.effect_curvature[:, None]
        on_slopes = self.inverse @ (slopes - self.cross @ scaled)
        on_effects = scaled - (self.cross / self.effect_curvature).T @ on_slopes
        return features @ on_slopes + on_effects[action]


def fit_logistic(design: Design, rows: np.ndarray, start: LogisticReward | None = None) -> LogisticReward:
    """Fit on the logged impressions where `rows` (bool [n]) holds; `start`: a fit that is likely near."""
    order = np.flatnonzero(rows)
    order = order[np.argsort(design.logged_action[order], kind="stable")]  # an action's rows lie together
    features = design.logged_rows[order]  # [n_rows, f]
    action, reward = design.logged_action[order], design.reward[order]
    size = len(design.log.action_names)
    rate = np.clip(reward.mean(), 1e-6, 1 - 1e-6) if len(reward) else 0.5  # of no rows: the penalties decide alone
    slopes = np.zeros(features.shape[1]) if start is None else start.slopes
    effects = np.zeros(size) if start is None else start.effects
    if start is None:
        slopes[0] = np.log(rate / (1 - rate))
    penalty = np.full(len(slopes), SLOPE_PENALTY)
    penalty[0] = 1e-8
    logit = features @ slopes + effects[action]
    loss = _penalised_loss(logit, reward, slopes, effects, penalty)
    predicted = _sigmoid(logit)
    hessian, before = None if start is None else (start.inverse, start.cross, start.effect_curvature), np.inf
    for _ in range(STEPS):
        if hessian is None:
            hessian = _hessian(features, action, predicted * (1 - predicted), penalty, size)
        inverse, cross, effect_curvature = hessian
        on_slopes = features.T @ (reward - predicted) - penalty * slopes
        on_effects = np.bincount(action, reward - predicted, size) - EFFECT_PENALTY * effects
        step = inverse @ (on_slopes - cross @ (on_effects / effect_curvature))
        effect_step = (on_effects - cross.T @ step) / effect_curvature
        logit_step = features @ step + effect_step[action]
        scale, better = 1.0, np.inf
        while scale > SHORTEST:  # Newton's step overshoots where the loss is not near a parabola
            tried = slopes + scale * step, effects + scale * effect_step
            better = _penalised_loss(logit + scale * logit_step, reward, *tried, penalty)
            if better <= loss + ROUNDING * abs(loss):
                break
            scale /= 2
        if better > loss + ROUNDING * abs(loss):
            break
        (slopes, effects), loss = tried, better
        logit = logit + scale * logit_step
        predicted = _sigmoid(logit)
        length = scale * max(np.abs(step).max(), np.abs(effect_step).max())
        if length < CLOSE:
            break
        hessian, before = hessian if length < before / FASTER else None, length
    last = _hessian(features, action, predicted * (1 - predicted), penalty, size)
    return LogisticReward(slopes, effects, *last)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logit))


def _penalised_loss(
    logit: np.ndarray, reward: np.ndarray, slopes: np.ndarray, effects: np.ndarray, penalty: np.ndarray
) -> float:
    """Negative log-likelihood of rewards in [0, 1] plus the penalties: convex in slopes and effects."""
    likelihood = np.logaddexp(0.0, logit).sum() - reward @ logit
    return float(likelihood + 0.5 * (penalty @ slopes**2) + 0.5 * EFFECT_PENALTY * (effects @ effects))


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
