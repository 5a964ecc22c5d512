"""The predicted reward q(x, a) of every pair of a log, by models fitted without the row that they predict.

Cross-fitting (Chernozhukov et al. 2018): shoppers are split into folds, and each fold is predicted by a model fitted on
the others. Of the models tried, the one with the smallest log loss on the shown pairs is used.

No model is fitted, chosen or scaled on rows of shoppers who refused consent; q of their pairs is the log's constant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluation.estimators.boosted_reward import fit_boosted
from components.evaluation.estimators.logistic_reward import LogisticReward, fit_logistic
from components.evaluation.estimators.reward_features import Design, design
from components.evaluation.logged_decisions import LoggedDecisions

LOGISTIC = "logistic"  # always fitted: the only model whose sampling error is known


@dataclass(frozen=True)
class RewardModel:
    """One cross-fitted model. Pairs are scored on demand, because trees are slow and often not needed."""

    name: str
    log_loss: float  # on the shown pairs, rewards scaled to [0, 1]
    fitted: Callable[[np.ndarray], np.ndarray]  # maps pairs (int64) of consenting rows to q, scaled to [0, 1]
    log: LoggedDecisions
    fits: tuple[LogisticReward, ...] = ()  # one per fold, if the model's sampling error is known

    def score(self, pair: np.ndarray) -> np.ndarray:
        """q of the given pairs (int64), scaled to [0, 1]; the log's constant on rows without consent."""
        if self.log.consent is None:
            return self.fitted(pair)
        low, high = self.log.reward_range
        scored = np.full(len(pair), (self.log.constant_prediction - low) / (high - low))
        known = self.log.consent[np.searchsorted(self.log.offsets, pair, side="right") - 1]
        scored[known] = self.fitted(pair[known])
        return scored

    @cached_property
    def scaled(self) -> np.ndarray:
        """q of every pair, rewards scaled to [0, 1]: float64 [n_pairs]."""
        return self.score(np.arange(len(self.log.action)))

    @cached_property
    def predicted(self) -> np.ndarray:
        """q of every pair in reward units: float64 [n_pairs]."""
        return self.in_units(self.scaled)

    def in_units(self, scaled: np.ndarray) -> np.ndarray:
        """Values in reward units, from values on the scale where rewards are in [0, 1]."""
        low, high = self.log.reward_range
        return low + (high - low) * scaled


def fit_reward_models(
    log: LoggedDecisions, policies: tuple[np.ndarray, ...], names: tuple[str, ...], folds: int, seed: int
) -> tuple[Design, dict[str, RewardModel]]:
    """The inputs, and the cross-fitted logistic regression and models called `names` (keys of MODELS), by name."""
    inputs = design(log, policies, folds, seed)
    fitted = {LOGISTIC: fit_logistic_model(inputs, folds)}
    return inputs, fitted | {name: MODELS[name](inputs, folds, seed) for name in names}


def best(models: dict[str, RewardModel]) -> RewardModel:
    """The model with the smallest cross-fitted log loss."""
    return min(models.values(), key=lambda model: model.log_loss)


def fit_logistic_model(inputs: Design, folds: int, start: LogisticReward | None = None) -> RewardModel:
    """Cross-fitted logistic regression; each fit starts from the one before it, the first one from `start`."""
    scaled, fits = np.empty(len(inputs.log.action)), []
    counts, consenting = np.diff(inputs.log.offsets), inputs.log.consenting
    for fold in range(folds):
        inside = inputs.fold == fold
        start = fit_logistic(inputs, ~inside & consenting, start)
        fits.append(start)
        scaled[np.repeat(inside, counts)] = start.predict(inputs, inside)
    loss = _log_loss(inputs, scaled[inputs.log.logged])
    return RewardModel(LOGISTIC, loss, lambda pair: scaled[pair], inputs.log, tuple(fits))


def _boosted(inputs: Design, folds: int, seed: int) -> RewardModel:
    models = [fit_boosted(inputs, (inputs.fold != fold) & inputs.log.consenting, seed) for fold in range(folds)]

    def fitted(pair: np.ndarray) -> np.ndarray:
        scored = np.empty(len(pair))
        pair_fold = inputs.fold[np.searchsorted(inputs.log.offsets, pair, side="right") - 1]
        for fold, model in enumerate(models):
            scored[pair_fold == fold] = model.predict(inputs, pair[pair_fold == fold])
        return scored

    return RewardModel("boosted", _log_loss(inputs, fitted(inputs.log.logged)), fitted, inputs.log)


MODELS = {"boosted": _boosted}


def _log_loss(inputs: Design, shown: np.ndarray) -> float:
    """The log loss of predictions [n] of the shown pairs over consenting rows; 0 if there are none."""
    consenting = inputs.log.consenting
    if not consenting.any():
        return 0.0
    clipped, reward = np.clip(shown[consenting], 1e-9, 1 - 1e-9), inputs.reward[consenting]
    return float(-np.mean(reward * np.log(clipped) + (1 - reward) * np.log1p(-clipped)))
