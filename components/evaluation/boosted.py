"""Gradient-boosted reward model: scikit-learn's histogram trees on context, action and pair features."""

import numpy as np

from components.evaluation.design import Design

CHUNK = 250_000  # pairs scored at a time: the dense rows of a chunk stay near 100 MB
PRIOR_IMPRESSIONS = 500.0  # an action's observed rate counts half once it has been shown this often


def fit_and_predict_boosted(design: Design, rows: np.ndarray, judged: np.ndarray, seed: int) -> np.ndarray:
    """Fit on the impressions where `rows` holds, score the pairs of those where `judged` holds (both bool [n]).

    Returns float64 [judged pairs], in (0, 1). A fractional reward counts as that share of a click.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    action_rate = _shrunken_rate(design, rows)
    log = design.log
    pair = log.logged[rows]
    features = _dense(design, pair, np.flatnonzero(rows), action_rate)
    reward = design.reward[rows]
    model = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=200, l2_regularization=5.0,
        early_stopping=False, random_state=seed,
    )  # fmt: skip
    doubled = np.concatenate([features, features]) if _fractional(reward) else features
    label = np.concatenate([np.ones(len(reward)), np.zeros(len(reward))]) if _fractional(reward) else reward
    weight = np.concatenate([reward, 1 - reward]) if _fractional(reward) else None
    if len(np.unique(label)) < 2:
        return np.full(int(np.diff(log.offsets)[judged].sum()), reward.mean())
    model.fit(doubled, label, sample_weight=weight)
    owner = np.repeat(np.arange(log.n), np.diff(log.offsets))
    wanted = np.flatnonzero(judged[owner])
    scored = np.empty(len(wanted))
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        scored[start : start + CHUNK] = model.predict_proba(_dense(design, part, owner[part], action_rate))[:, 1]
    return scored


def _fractional(reward: np.ndarray) -> bool:
    return bool(((reward > 0) & (reward < 1)).any())


def _shrunken_rate(design: Design, rows: np.ndarray) -> np.ndarray:
    """Mean reward per action, pulled towards the mean of all: float64 [m]."""
    size = len(design.log.action_names)
    action, reward = design.logged_action[rows], design.reward[rows]
    shown, earned = np.bincount(action, minlength=size), np.bincount(action, reward, size)
    return (earned + PRIOR_IMPRESSIONS * reward.mean()) / (shown + PRIOR_IMPRESSIONS)


def _dense(design: Design, pair: np.ndarray, row: np.ndarray, action_rate: np.ndarray) -> np.ndarray:
    """Features of some pairs: float32 [n_some, p + k + s + 1]."""
    action = design.log.action[pair]
    parts = [design.context[row], design.action[action], design.pair[pair], action_rate[action][:, None]]
    return np.column_stack(parts).astype(np.float32)
