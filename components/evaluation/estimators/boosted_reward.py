"""Gradient-boosted reward model: scikit-learn's histogram trees on context, action and pair features."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from components.evaluation.estimators.reward_features import Design

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

TREES = 24
CHUNK = 250_000  # pairs scored at a time, so that the dense rows take about 100 MB
PRIOR_IMPRESSIONS = 500.0  # an action shown this often has its observed rate weighted by one half


@dataclass(frozen=True)
class Boosted:
    """Fitted trees (None: all rewards were `rate`), and each action's rate, which is one of their inputs."""

    trees: "HistGradientBoostingClassifier | None"
    rate: float
    action_rate: np.ndarray  # float64 [m]

    def predict(self, design: Design, pair: np.ndarray) -> np.ndarray:
        """q of some pairs (int64): float64, in (0, 1)."""
        if self.trees is None:
            return np.full(len(pair), self.rate)
        row = np.searchsorted(design.log.offsets, pair, side="right") - 1
        scored = np.empty(len(pair))
        for start in range(0, len(pair), CHUNK):
            chunk = slice(start, start + CHUNK)
            features = _dense(design, pair[chunk], row[chunk], self.action_rate)
            scored[chunk] = self.trees.predict_proba(features)[:, 1]
        return scored


def fit_boosted(design: Design, rows: np.ndarray, seed: int) -> Boosted:
    """The model fitted on the impressions `rows` (bool [n]); a reward in (0, 1) counts as that share of a click."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    if not rows.any():
        return Boosted(None, 0.5, np.zeros(len(design.log.action_names)))
    action_rate = _shrunken_rate(design, rows)
    features = _dense(design, design.log.logged[rows], np.flatnonzero(rows), action_rate)
    reward = design.reward[rows]
    model = HistGradientBoostingClassifier(
        max_iter=TREES, learning_rate=0.2, max_leaf_nodes=8, min_samples_leaf=200, l2_regularization=5.0,
        early_stopping=False, random_state=seed,
    )  # fmt: skip
    doubled = np.concatenate([features, features]) if _fractional(reward) else features
    label = np.concatenate([np.ones(len(reward)), np.zeros(len(reward))]) if _fractional(reward) else reward
    weight = np.concatenate([reward, 1 - reward]) if _fractional(reward) else None
    trees = model.fit(doubled, label, sample_weight=weight) if len(np.unique(label)) > 1 else None
    return Boosted(trees, float(reward.mean()), action_rate)


def _fractional(reward: np.ndarray) -> bool:
    return bool(((reward > 0) & (reward < 1)).any())


def _shrunken_rate(design: Design, rows: np.ndarray) -> np.ndarray:
    """Mean reward per action, shrunk towards the mean of all: float64 [m]."""
    size = len(design.log.action_names)
    action, reward = design.logged_action[rows], design.reward[rows]
    shown, earned = np.bincount(action, minlength=size), np.bincount(action, reward, size)
    return (earned + PRIOR_IMPRESSIONS * reward.mean()) / (shown + PRIOR_IMPRESSIONS)


def _dense(design: Design, pair: np.ndarray, row: np.ndarray, action_rate: np.ndarray) -> np.ndarray:
    """Features of the given pairs: float32 [pairs, p + k + s + 1]."""
    action = design.log.action[pair]
    parts = [design.context[row], design.action[action], design.pair[pair], action_rate[action][:, None]]
    return np.column_stack(parts).astype(np.float32)
