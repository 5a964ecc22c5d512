"""The off-policy estimators: each is one function from logged rows to contributions, and one record.

With importance weight w_i = pi(a_i|x_i) / pi_0(a_i|x_i), reward r_i, reward model q, and
q_pi(x_i) = sum_a pi(a|x_i) q(x_i, a), every estimator of the value of pi here has the form

    mean_i direct_i  +  sum_i residual_i / sum_i mass_i

`mass` is 1 per row, or the weights if the estimator normalises by them. The intervals use this form alone. A new
estimator is one function and one line in ESTIMATORS. Its record states the properties that shrinkage, chunks and
finite-sample bounds depend on; the contract test compares them with the function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from components.evaluation.estimators.model_error import ModelError


@dataclass(frozen=True)
class WeightedRows:
    """The estimators' input, one entry per logged impression; all float64 [n]."""

    weight: np.ndarray  # pi(a_i|x_i) / pi_0(a_i|x_i), >= 0
    reward: np.ndarray
    predicted: np.ndarray  # q(x_i, a_i), by a model fitted without row i
    predicted_target: np.ndarray  # q_pi(x_i)
    marginal_weight: np.ndarray | None = None  # pi(e_i|x_i) / pi_0(e_i|x_i) of the action's embedding e
    model_error: "ModelError | None" = None  # maps used weights to each row's effect through the fit of q


@dataclass(frozen=True)
class Contributions:
    """The terms of one estimate, one entry per logged impression; all float64 [n]."""

    direct: np.ndarray
    residual: np.ndarray
    mass: np.ndarray
    used_weight: np.ndarray  # the weight after clipping, shrinking or switching; 0 if the row's reward is not used

    def value(self) -> float:
        """The estimate."""
        return float(self.direct.mean() + self.residual.sum() / self.mass.sum())


class ModelUse(Enum):
    """How an estimator uses the reward model q."""

    NONE = "none"  # its value does not depend on q
    CORRECTED = "corrected"  # full weights correct q, so q affects the variance alone
    MEAN = (
        "mean"  # with smaller weights the mean of q remains in the estimate, so the sampling error of q must be known
    )


class FiniteBound(Enum):
    """The interval without resampling that belongs to an estimator: see intervals/finite_sample_bounds.py."""

    REWARDS = "rewards"  # of weighted rewards
    CLIPPED_REWARDS = "clipped rewards"  # of clipped ones, plus what clipping leaves out
    RESIDUALS = "residuals"  # of q_pi plus weighted residuals


@dataclass(frozen=True)
class Estimator:
    """One estimator and its properties.

    contributions: maps rows and a shrinkage to terms; None if actions have no embedding. shrinkages: maps cuts of the
    weights (float64, ascending, > 0) to the shrinkages to tune over, mildest last; None: it has no shrinkage.
    streamable: it needs only the rows of one chunk of the log at a time.
    """

    contributions: Callable[[WeightedRows, float], Contributions | None]
    model: ModelUse
    bound: FiniteBound
    shrinkages: Callable[[np.ndarray], np.ndarray] | None = None
    streamable: bool = True

    def __call__(self, rows: WeightedRows, shrinkage: float) -> Contributions | None:
        """The estimator's terms on `rows`."""
        return self.contributions(rows, shrinkage)


def dm(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Direct method: mean q_pi."""
    return _corrected_model(rows, np.zeros_like(rows.reward))


def ips(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Inverse propensity scoring (Horvitz and Thompson 1952): mean w r."""
    return _weighted_rewards(rows, rows.weight)


def clipped_ips(rows: WeightedRows, shrinkage: float) -> Contributions:
    """IPS with weights clipped at `shrinkage` (Ionides 2008): mean min(w, shrinkage) r."""
    return _weighted_rewards(rows, np.minimum(rows.weight, shrinkage))


def snips(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Self-normalised IPS (Swaminathan and Joachims 2015, eq. 10): sum w r / sum w."""
    return Contributions(np.zeros_like(rows.reward), rows.weight * rows.reward, rows.weight, rows.weight)


def dr(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Doubly robust (Dudik et al. 2011, eq. 3): mean q_pi + w (r - q)."""
    return _corrected_model(rows, rows.weight)


def sndr(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Self-normalised doubly robust (Thomas and Brunskill 2016): mean q_pi + sum w (r - q) / sum w."""
    residual = rows.weight * (rows.reward - rows.predicted)
    return Contributions(rows.predicted_target, residual, rows.weight, rows.weight)


def switch_dr(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Switch-DR (Wang et al. 2017, eq. 8): the correction only where w <= shrinkage."""
    return _corrected_model(rows, rows.weight * (rows.weight <= shrinkage))


def dros(rows: WeightedRows, shrinkage: float) -> Contributions:
    """Doubly robust with optimistic shrinkage (Su et al. 2020, eq. 6): w -> shrinkage w / (w^2 + shrinkage)."""
    if np.isinf(shrinkage):
        return _corrected_model(rows, rows.weight)
    return _corrected_model(rows, shrinkage * rows.weight / (rows.weight**2 + shrinkage))


def mips(rows: WeightedRows, shrinkage: float) -> Contributions | None:
    """Marginalised IPS (Saito and Joachims 2022, eq. 5): mean w(x, e) r; None where actions have no embedding."""
    return None if rows.marginal_weight is None else _weighted_rewards(rows, rows.marginal_weight)


def _cut_at(cuts: np.ndarray) -> np.ndarray:
    return cuts


def _optimistic(cuts: np.ndarray) -> np.ndarray:
    """Squares of weights, the scale of lambda in Su et al. 2020; infinity shrinks nothing."""
    return np.append(10.0 * cuts**2, np.inf)


UNBIASED = "dr"  # with any reward model, because propensities are known
ESTIMATORS: dict[str, Estimator] = {
    "dm": Estimator(dm, ModelUse.MEAN, FiniteBound.RESIDUALS),
    "ips": Estimator(ips, ModelUse.NONE, FiniteBound.REWARDS),
    "clipped_ips": Estimator(clipped_ips, ModelUse.NONE, FiniteBound.CLIPPED_REWARDS, shrinkages=_cut_at),
    "snips": Estimator(snips, ModelUse.NONE, FiniteBound.REWARDS),
    "dr": Estimator(dr, ModelUse.CORRECTED, FiniteBound.RESIDUALS),
    "sndr": Estimator(sndr, ModelUse.CORRECTED, FiniteBound.RESIDUALS),
    "switch_dr": Estimator(switch_dr, ModelUse.MEAN, FiniteBound.RESIDUALS, shrinkages=_cut_at),
    "dros": Estimator(dros, ModelUse.MEAN, FiniteBound.RESIDUALS, shrinkages=_optimistic),
    "mips": Estimator(mips, ModelUse.NONE, FiniteBound.REWARDS, streamable=False),
}


def on_policy(reward: np.ndarray) -> Contributions:
    """The value of the logging policy, the mean reward, as contributions."""
    ones = np.ones_like(reward)
    return Contributions(np.zeros_like(reward), reward, ones, ones)


def effective_sample_size(weight: np.ndarray) -> float:
    """The effective sample size (sum w)^2 / sum w^2 (Kish 1965), in impressions; 0 if all weights are 0."""
    peak = float(np.abs(weight).max(initial=0.0))
    if peak == 0.0:
        return 0.0
    scaled = weight / peak
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def _weighted_rewards(rows: WeightedRows, weight: np.ndarray) -> Contributions:
    return Contributions(np.zeros_like(weight), weight * rows.reward, np.ones_like(weight), weight)


def _corrected_model(rows: WeightedRows, weight: np.ndarray) -> Contributions:
    """mean q_pi + weight (r - q). The model's error sums to 0: it changes intervals, not estimates."""
    residual = weight * (rows.reward - rows.predicted)
    if rows.model_error is not None:
        residual = residual + rows.model_error(weight)
    return Contributions(rows.predicted_target, residual, np.ones_like(weight), weight)
