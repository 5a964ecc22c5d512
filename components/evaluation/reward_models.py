"""A log -> q(x, a) for every pair, by models that never saw the row they predict.

Cross-fitting (Chernozhukov et al. 2018): shoppers are dealt into folds, and a fold is predicted by the model of the
others. Of the models tried, the one with the smallest log loss on the shown pairs is used.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.boosted import fit_and_predict_boosted
from components.evaluation.design import Design, design
from components.evaluation.log import LoggedDecisions
from components.evaluation.logistic import LogisticReward, fit_logistic
from components.policy.ragged import spread

LOGISTIC = "logistic"  # always fitted: the one model that can tell its own sampling error


@dataclass(frozen=True)
class RewardModel:
    """Cross-fitted predictions of one model, in the reward's own units."""

    name: str
    predicted: np.ndarray  # float64 [n_pairs]
    scaled: np.ndarray  # float64 [n_pairs], the same on the scale where rewards are in [0, 1]
    log_loss: float  # on the shown pairs, rewards scaled to [0, 1]
    fits: tuple[LogisticReward, ...] = ()  # one per fold, where the model can tell its own sampling error


def fit_reward_models(
    log: LoggedDecisions, policies: tuple[np.ndarray, ...], names: tuple[str, ...], folds: int, seed: int
) -> tuple[Design, dict[str, RewardModel]]:
    """Cross-fit logistic regression and the models called `names` (of MODELS) on `log`, for judging `policies`."""
    inputs = design(log, policies, folds, seed)
    wanted = dict.fromkeys((LOGISTIC, *names))
    return inputs, {name: _finished(name, inputs, *MODELS[name](inputs, folds, seed)) for name in wanted}


def best(models: dict[str, RewardModel]) -> RewardModel:
    """The model with the smallest cross-fitted log loss."""
    return min(models.values(), key=lambda model: model.log_loss)


def _logistic(inputs: Design, folds: int, seed: int) -> tuple[np.ndarray, tuple[LogisticReward, ...]]:
    predicted = np.empty(len(inputs.log.action))
    fits = tuple(fit_logistic(inputs, inputs.fold != fold) for fold in range(folds))
    pair_fold = spread(inputs.fold, inputs.log.offsets)
    for fold, fit in enumerate(fits):
        predicted = np.where(pair_fold == fold, fit.predict(inputs), predicted)
    return predicted, fits


def _boosted(inputs: Design, folds: int, seed: int) -> tuple[np.ndarray, tuple[LogisticReward, ...]]:
    predicted = np.empty(len(inputs.log.action))
    pair_fold = spread(inputs.fold, inputs.log.offsets)
    for fold in range(folds):
        rows = inputs.fold != fold
        predicted[pair_fold == fold] = fit_and_predict_boosted(inputs, rows, ~rows, seed)
    return predicted, ()


MODELS = {LOGISTIC: _logistic, "boosted": _boosted}


def _finished(name: str, inputs: Design, scaled: np.ndarray, fits: tuple[LogisticReward, ...]) -> RewardModel:
    low, high = inputs.log.reward_range
    shown = np.clip(scaled[inputs.log.logged], 1e-9, 1 - 1e-9)
    loss = -np.mean(inputs.reward * np.log(shown) + (1 - inputs.reward) * np.log1p(-shown))
    return RewardModel(name, low + (high - low) * scaled, scaled, float(loss), fits)
