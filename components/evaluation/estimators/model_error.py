"""The sampling error of the reward model, carried into every estimate that uses the model's mean.

An estimate with used weights v depends on the fitted model through mean_i [q_pi(x_i) - v_i q(x_i, a_i)]. With full
weights that is zero on average and the fit hardly matters (Neyman orthogonality). With smaller weights, or none, an
interval that treats q as fixed would be far too short. The dependence is linearised in the fit's coefficients. Rows
without consent affect no fit, and no fit affects their q.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.estimators.logistic_reward import LogisticReward
from components.evaluation.estimators.reward_features import Design
from components.policies.ragged_rows import row_sums, spread

Gradient = tuple[np.ndarray, np.ndarray]  # with respect to slopes [f] and to effects [m]


@dataclass(frozen=True)
class ModelError:
    """The effect of each row on an estimate through the fits, for one policy; call it with the used weights."""

    inputs: Design
    fits: tuple[LogisticReward, ...]  # one per fold, fitted on the other folds
    features: np.ndarray  # float64 [n, f], of the shown pairs
    curvature: np.ndarray  # float64 [n], q (1 - q) of the shown pairs
    residual: np.ndarray  # float64 [n], reward - q, in the reward's units
    policy_gradients: tuple[Gradient, ...]  # of the sum of q_pi over each fold

    def __call__(self, used_weight: np.ndarray) -> np.ndarray:
        """The contribution of each row to the estimate through the model, mean 0: float64 [n], in reward units."""
        return self.of_many(used_weight[:, None])[:, 0]

    def of_many(self, used_weights: np.ndarray) -> np.ndarray:
        """The same for c estimators at once, used weights [n, c]: float64 [n, c]."""
        action, movement = self.inputs.logged_action, np.zeros_like(used_weights)
        slope = used_weights * self.curvature[:, None]
        for fold, (fit, (slopes, effects)) in enumerate(zip(self.fits, self.policy_gradients, strict=True)):
            inside = (self.inputs.fold == fold)[:, None]
            in_fold = slope * inside
            gradient = (
                slopes[:, None] - self.features.T @ in_fold,
                effects[:, None] - _sums(in_fold, action, len(effects)),
            )
            movement += fit.movement(gradient, self.features, action) * ~inside
        contributions = movement * self.residual[:, None]
        return contributions - contributions.mean(axis=0)


def _sums(values: np.ndarray, code: np.ndarray, size: int) -> np.ndarray:
    """Column sums [size, c] of values [n, c] over rows of equal code [n]."""
    return np.column_stack([np.bincount(code, column, size) for column in values.T])


def model_error(
    inputs: Design, fits: tuple[LogisticReward, ...], predicted: np.ndarray, policy: np.ndarray
) -> ModelError:
    """The model error of `policy` [n_pairs] under cross-fitted `predicted` [n_pairs], scaled to [0, 1]."""
    log = inputs.log
    low, high = log.reward_range
    shown = predicted[log.logged]
    slope = policy * predicted * (1 - predicted) * spread(log.consenting, log.offsets)  # [n_pairs]
    gradients = tuple(_policy_gradient(inputs, slope, fold) for fold in range(len(fits)))
    residual = (high - low) * (inputs.reward - shown) * log.consenting
    return ModelError(inputs, fits, inputs.logged_rows, shown * (1 - shown) * log.consenting, residual, gradients)


def _policy_gradient(inputs: Design, slope: np.ndarray, fold: int) -> Gradient:
    log = inputs.log
    in_fold = slope * spread((inputs.fold == fold).astype(float), log.offsets)
    per_action = np.bincount(log.action, in_fold, len(log.action_names))
    context = row_sums(in_fold, log.offsets) @ inputs.context
    return np.concatenate([[in_fold.sum()], context, per_action @ inputs.action, in_fold @ inputs.pair]), per_action
