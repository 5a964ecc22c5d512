"""Logistic reward model: features, and one shrunken effect per action.

    logit q(x, a) = b0 + context(x) . b1 + features(a) . b2 + pair(x, a) . b3 + effect_a

Ridge on the slopes, and on the effects as on draws of a normal law (a random intercept), fitted by Newton's method. The
effects' block of the Hessian is diagonal, so thousands of actions cost no more than a few.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.design import Design
from components.policy.ragged import spread

SLOPE_PENALTY = 1.0  # a unit normal prior on the slope of each standardised feature
EFFECT_PENALTY = 16.0  # 1 / 0.25^2: published click-through of one advertiser's creatives spreads by a quarter
STEPS = 12


@dataclass(frozen=True)
class LogisticReward:
    """Fitted coefficients and the inverse Hessian that tells how each row moved them."""

    slopes: np.ndarray  # float64 [1 + p + k + s]
    effects: np.ndarray  # float64 [m]
    inverse: np.ndarray  # float64 [f, f], of the Hessian's Schur complement, f = 1 + p + k + s
    cross: np.ndarray  # float64 [f, m]
    effect_curvature: np.ndarray  # float64 [m]

    def predict(self, design: Design) -> np.ndarray:
        """q of every pair: float64 [n_pairs], in (0, 1)."""
        intercept, context, action, pair = np.split(self.slopes, _splits(design))
        per_action = design.action @ action + self.effects + intercept[0]
        logit = spread(design.context @ context, design.log.offsets) + per_action[design.log.action]
        return 1.0 / (1.0 + np.exp(-(logit + design.pair @ pair)))

    def movement(self, gradient: tuple[np.ndarray, np.ndarray], features: np.ndarray, action: np.ndarray) -> np.ndarray:
        """How much one more unit of residual in each row moves a quantity through this fit: float64 [n].

        First-order (the infinitesimal jackknife): the quantity's gradient with respect to slopes [f] and effects [m],
        times the inverse Hessian, times the row's features [n, f] and action [n].
        """
        slopes, effects = gradient
        on_slopes = self.inverse @ (slopes - self.cross @ (effects / self.effect_curvature))
        on_effects = (effects - self.cross.T @ on_slopes) / self.effect_curvature
        return features @ on_slopes + on_effects[action]


def fit_logistic(design: Design, rows: np.ndarray) -> LogisticReward:
    """Fit on the logged impressions where `rows` (bool [n]) holds."""
    features = design.logged_rows()[rows]  # [n_rows, f]
    action, reward = design.logged_action[rows], design.reward[rows]
    size = len(design.log.action_names)
    rate = np.clip(reward.mean(), 1e-6, 1 - 1e-6)
    slopes = np.zeros(features.shape[1])
    slopes[0] = np.log(rate / (1 - rate))
    effects = np.zeros(size)
    penalty = np.full(len(slopes), SLOPE_PENALTY)
    penalty[0] = 1e-8
    for _ in range(STEPS):
        predicted = 1.0 / (1.0 + np.exp(-(features @ slopes + effects[action])))
        curvature = predicted * (1 - predicted)
        inverse, cross, effect_curvature = _hessian(features, action, curvature, penalty, size)
        on_slopes = features.T @ (reward - predicted) - penalty * slopes
        on_effects = np.bincount(action, reward - predicted, size) - EFFECT_PENALTY * effects
        step = inverse @ (on_slopes - cross @ (on_effects / effect_curvature))
        effect_step = (on_effects - cross.T @ step) / effect_curvature
        scale = min(1.0, 4.0 / max(np.abs(step).max(), 1e-12))  # Newton may overshoot from a far start
        slopes, effects = slopes + scale * step, effects + scale * effect_step
        if np.abs(step).max() < 1e-8 and np.abs(effect_step).max() < 1e-8:
            break
    return LogisticReward(slopes, effects, inverse, cross, effect_curvature)


def _hessian(
    features: np.ndarray, action: np.ndarray, curvature: np.ndarray, penalty: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse Schur complement [f, f], cross block [f, m] and the effects' diagonal [m]."""
    weighted = features * curvature[:, None]
    block = features.T @ weighted + np.diag(penalty)
    order = np.argsort(action, kind="stable")
    present, start = np.unique(action[order], return_index=True)
    cross = np.zeros((features.shape[1], size))
    cross[:, present] = np.add.reduceat(weighted[order], start, axis=0).T
    diagonal = np.bincount(action, curvature, size) + EFFECT_PENALTY
    return np.linalg.inv(block - (cross / diagonal) @ cross.T), cross, diagonal


def _splits(design: Design) -> list[int]:
    p, k = design.context.shape[1], design.action.shape[1]
    return [1, 1 + p, 1 + p + k]
