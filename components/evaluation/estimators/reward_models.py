"""A log -> q(x, a) for every pair, by models that never saw the row they predict.

Cross-fitting (Chernozhukov et al. 2018): shoppers are dealt into folds, and a fold is predicted by the model of the
others. Of the models tried, the one with the smallest log loss on the shown pairs is used.

Rows of shoppers who refused consent teach none of them: nothing is fitted, chosen or scaled by such a row, and q of its
pairs is the log's constant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluation.estimators.boosted_reward import fit_boosted
from components.evaluation.estimators.logistic_reward import LogisticReward, fit_logistic
from components.evaluation.estimators.reward_features import Design, design
from components.evaluation.logged_decisions import LoggedDecisions

LOGISTIC = "logistic"  # always fitted: the one model that can tell its own sampling error


@dataclass(frozen=True)
class RewardModel:
    """One model, cross-fitted; pairs are scored when they are asked for, as trees are slow and often not needed."""

    name: str
    log_loss: float  # on the shown pairs, rewards scaled to [0, 1]
    fitted: Callable[[np.ndarray], np.ndarray]  # pairs of rows that teach, int64 -> q, rewards scaled to [0, 1]
    log: LoggedDecisions
    fits: tuple[LogisticReward, ...] = ()  # one per fold, where the model can tell its own sampling error

    def score(self, pair: np.ndarray) -> np.ndarray:
        """q of some pairs (int64), rewards scaled to [0, 1]: the log's constant on rows that teach nothing."""
        if self.log.teaches is None:
            return self.fitted(pair)
        low, high = self.log.reward_range
        scored = np.full(len(pair), (self.log.constant - low) / (high - low))
        known = self.log.teaches[np.searchsorted(self.log.offsets, pair, side="right") - 1]
        scored[known] = self.fitted(pair[known])
        return scored

    @cached_property
    def scaled(self) -> np.ndarray:
        """q of every pair on the scale where rewards are in [0, 1]: float64 [n_pairs]."""
        return self.score(np.arange(len(self.log.action)))

    @cached_property
    def predicted(self) -> np.ndarray:
        """q of every pair in the reward's own units: float64 [n_pairs]."""
        return self.in_units(self.scaled)

    def in_units(self, scaled: np.ndarray) -> np.ndarray:
        """From the scale where rewards are in [0, 1] to the reward's own."""
        low, high = self.log.reward_range
        return low + (high - low) * scaled


def fit_reward_models(
    log: LoggedDecisions, policies: tuple[np.ndarray, ...], names: tuple[str, ...], folds: int, seed: int
) -> tuple[Design, dict[str, RewardModel]]:
    """Cross-fit logistic regression and the models called `names` (of MODELS) on `log`, for judging `policies`."""
    inputs = design(log, policies, folds, seed)
    fitted = {LOGISTIC: fit_logistic_model(inputs, folds)}
    return inputs, fitted | {name: MODELS[name](inputs, folds, seed) for name in names}


def best(models: dict[str, RewardModel]) -> RewardModel:
    """The model with the smallest cross-fitted log loss."""
    return min(models.values(), key=lambda model: model.log_loss)


def fit_logistic_model(inputs: Design, folds: int, start: LogisticReward | None = None) -> RewardModel:
    """Logistic regression, cross-fitted; each fit starts from the one before it, the first from `start`."""
    scaled, fits = np.empty(len(inputs.log.action)), []
    counts, taught = np.diff(inputs.log.offsets), inputs.log.taught
    for fold in range(folds):
        mine = inputs.fold == fold
        start = fit_logistic(inputs, ~mine & taught, start)
        fits.append(start)
        scaled[np.repeat(mine, counts)] = start.predict(inputs, mine)
    loss = _log_loss(inputs, scaled[inputs.log.logged])
    return RewardModel(LOGISTIC, loss, lambda pair: scaled[pair], inputs.log, tuple(fits))


def _boosted(inputs: Design, folds: int, seed: int) -> RewardModel:
    models = [fit_boosted(inputs, (inputs.fold != fold) & inputs.log.taught, seed) for fold in range(folds)]

    def fitted(pair: np.ndarray) -> np.ndarray:
        scored = np.empty(len(pair))
        fold = inputs.fold[np.searchsorted(inputs.log.offsets, pair, side="right") - 1]
        for mine, model in enumerate(models):
            scored[fold == mine] = model.predict(inputs, pair[fold == mine])
        return scored

    return RewardModel("boosted", _log_loss(inputs, fitted(inputs.log.logged)), fitted, inputs.log)


MODELS = {"boosted": _boosted}


def _log_loss(inputs: Design, shown: np.ndarray) -> float:
    """Of predictions [n] of the shown pairs of rows that teach, rewards scaled to [0, 1]; 0 without such rows."""
    taught = inputs.log.taught
    if not taught.any():
        return 0.0
    clipped, reward = np.clip(shown[taught], 1e-9, 1 - 1e-9), inputs.reward[taught]
    return float(-np.mean(reward * np.log(clipped) + (1 - reward) * np.log1p(-clipped)))
