"""May tonight's refit of the champion's recipe act? One confidence sequence over the nights.

Each night's refit is scored on the next night's rows by doubly robust values of

    X_i = sum_a t(a | x_i) q(x_i, a) + t(a_i | x_i) / b(a_i | x_i) (y_i - q(x_i, a_i)),    t = r - (1 - m) c       (1)

with the refit r, the frozen champion c, the logging policy b, rewards y in [0, 1], q predicted by a model of earlier
rows, and the margin m. Their mean is above 0 exactly if the refit earns more than (1 - m) of what the champion earns.
The refit of a night may act if the lower bound of the mean of (1) over all nights so far is above 0. With S the sum of
the values, weighted by forgetting^(nights ago), V that of their squares, weighted twice, and h set on the first night,
the bound is

    (S - sqrt(2 (V + h) log(1 + sqrt((V + h) / h) / (2 alpha)))) / rows                                           (2)

(asymptotic confidence sequences; Waudby-Smith et al. 2021, "Time-uniform central limit theory and asymptotic
confidence sequences"; values weighted by forgetting^-night are a martingale, too). It holds for all nights at a time
with probability 1 - alpha, for many rows.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import row_sums

SPAN = 15.0  # nights at which the bound is to be narrowest


@dataclass(frozen=True)
class RefreshEvidence:
    """The sums of (2) after some nights. nights: how many were added; spread: h, 0 before the first night."""

    alpha: float
    forgetting: float
    nights: int = 0
    rows: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    spread: float = 0.0

    def after(self, rows: float, total: float, squares: float) -> "RefreshEvidence":
        """With one more night's number of values, their sum and the sum of their squares. The first only sets h."""
        if not self.nights:
            narrowest = -2 * np.log(self.alpha) + np.log(1 - 2 * np.log(self.alpha))
            return replace(self, nights=1, spread=float(SPAN * squares / narrowest))
        return replace(
            self,
            nights=self.nights + 1,
            rows=self.forgetting * self.rows + rows,
            total=self.forgetting * self.total + total,
            squares=self.forgetting**2 * self.squares + squares,
            spread=self.forgetting**2 * self.spread,
        )

    def is_like(self, other: "RefreshEvidence") -> bool:
        """Whether both have the same settings, so that nights can be added to either."""
        return (self.alpha, self.forgetting) == (other.alpha, other.forgetting)

    def lower(self) -> float:
        """The bound (2) on the mean value; -inf before the second night, or if the first night's values were all 0."""
        if not self.rows or not self.spread:
            return float("-inf")
        grown = self.squares + self.spread
        radius = np.sqrt(2 * grown * np.log1p(np.sqrt(grown / self.spread) / (2 * self.alpha)))
        return float((self.total - radius) / self.rows)

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values, from which `from_dict` restores it exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, float]) -> "RefreshEvidence":
        """The evidence that `to_dict` wrote."""
        return cls(**record)


def refresh_values(log: LoggedDecisions, refit: np.ndarray, champion: np.ndarray, margin: float) -> np.ndarray:
    """The values (1) of the rows of `log`: float64 [n], in rewards scaled to [0, 1]. refit, champion: [n_pairs].

    What a row does not support counts against the refit: mass of the refit that is missing (its probabilities may sum
    to less than 1) or has no chance of being shown earns 0, and such mass of the champion earns 1.
    """
    low, high = log.reward_range
    reward = (log.reward - low) / (high - low)
    score = np.zeros(len(refit)) if log.score is None else np.clip(log.score, 0.0, 1.0)
    supported = np.ones(len(refit), dtype=bool) if log.logging is None else log.logging > 0
    target = np.where(supported, refit - (1 - margin) * champion, 0.0)
    unsupported = row_sums(np.where(supported, 0.0, champion), log.offsets)
    expected = row_sums(target * score, log.offsets) - (1 - margin) * unsupported
    return expected + log.weight(target) * (reward - score[log.logged])
