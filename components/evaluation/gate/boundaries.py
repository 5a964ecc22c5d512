"""How the gate's error probability is spent over its looks: valid at every look, or with a planned last look.

`anytime` asks for no plan and no approximation (lift_bound.py). `planned` fixes the number of impressions beforehand
and spends the error probability alpha over the share t of them that has come in, by O'Brien & Fleming's function

    alpha*(t) = 2 - 2 Phi(z_{alpha/2} / sqrt(t)),   z_q the upper q-quantile;    Lan & DeMets 1983           (1)

This is the chance that a Brownian motion B, watched without a pause, reaches z_{alpha/2} before t. So the bound

    mean(X) - z_{alpha/2} / sqrt(t) se(X),   X of lift_bound.py                                                      (2)

spends (1) however often one looks, and no look has to be remembered. It uses the normal approximation. It counts only
where that can be relied upon: at least LEAST_REWARDED rewarded rows, and no row whose loss has more than LARGEST_SHARE
of the variance. Else the anytime bound decides; it has RESERVE of alpha, set aside beforehand, and (2) has the rest.

Looks after the planned end see the log as it stood at the planned end: the error probability is spent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from components.evaluation.gate.lift_bound import LiftSums, Moments
from components.settings.sections import PromotionConfig, check_planned

LEAST_REWARDED = 100
LARGEST_SHARE = 0.01  # see Moments.loss_share
RESERVE = 0.1  # share of alpha that the anytime bound keeps under a planned boundary


@dataclass(frozen=True)
class Boundary:
    """The boundary that a question is asked with. planned: impressions of the last look; None: no last look."""

    kind: Literal["anytime", "planned"] = "anytime"
    planned: int | None = None

    def __post_init__(self) -> None:
        if (self.kind == "planned") != (self.planned is not None):
            raise ValueError("a planned boundary, and no other, has a number of planned impressions")
        if self.planned is not None:
            check_planned(self.planned)

    @classmethod
    def of(cls, config: PromotionConfig) -> "Boundary":
        """The boundary of the settings."""
        return cls(config.boundary, config.planned_impressions)

    @property
    def words(self) -> str:
        """The boundary as a part of the question that the ledger keeps."""
        return "at every look" if self.planned is None else f"planned for {self.planned} impressions"


ANYTIME = Boundary()


def checkpoints(impressions: int) -> np.ndarray:
    """Numbers of impressions up to `impressions` that a last look can be planned at: int64, 90 to a power of ten.

    The same for every log, so that a later look finds the sums as they were at the planned end.
    """
    decades = range(2, max(3, len(str(impressions))))
    grid = np.concatenate([np.arange(10, 100) * 10**power for power in decades]).astype(np.int64)
    return grid[grid <= impressions]


@dataclass(frozen=True)
class Bound:
    """A lower bound of the lift, rewards in [0, 1], and which one it is, in words."""

    value: float
    words: str


def lower_bound(sums: LiftSums, path: Sequence[Moments], alpha: float, boundary: Boundary = ANYTIME) -> Bound:
    """The lower bound at error probability `alpha`. path: moments at the checkpoints that the log has passed."""
    if boundary.planned is None:
        return Bound(sums.lower(alpha), f"the anytime-valid lower bound of the lift (error probability {alpha:.2g})")
    moments = _at(sums.moments, path, boundary.planned)
    unfit = _unfit(moments)
    if unfit:
        words = (
            f"the anytime-valid lower bound of the lift at {RESERVE:.0%} of the error probability {alpha:.2g} (the "
            f"normal approximation of the planned boundary cannot be relied upon: {unfit})"
        )
        return Bound(sums.lower(RESERVE * alpha), words)
    words = (
        f"the lower bound of the lift at {moments.impressions:,} of {boundary.planned:,} planned impressions (normal "
        f"approximation, O'Brien-Fleming boundary, error probability {alpha:.2g})"
    )
    if sums.moments.impressions > boundary.planned:
        words += "; the rows after the planned end are not judged, for nothing is left to spend on them"
    return Bound(planned_lower(moments, alpha, boundary.planned), words)


def planned_lower(moments: Moments, alpha: float, planned: int) -> float:
    """Equation (2) with all of alpha but its RESERVE."""
    mean = moments.total / moments.judged
    error = np.sqrt(max(moments.squares / moments.judged - mean**2, 0.0) / moments.judged)
    share = moments.impressions / planned
    return float(mean - norm.isf((1 - RESERVE) * alpha / 2) / np.sqrt(share) * error)


def _at(latest: Moments, path: Sequence[Moments], planned: int) -> Moments:
    """The moments of this look, or of the planned end where the log has passed it."""
    if latest.impressions <= planned:
        return latest
    return next(moments for moments in path if moments.impressions == planned)


def _unfit(moments: Moments) -> str:
    """Why the normal approximation does not count here; empty where it does."""
    if moments.rewarded < LEAST_REWARDED:
        return f"{moments.rewarded} rewarded impressions, below {LEAST_REWARDED}"
    if moments.squares == 0.0:
        return "on no rewarded impression do the policies choose differently"
    if moments.loss_share > LARGEST_SHARE:
        return f"one impression can make up {moments.loss_share:.1%} of the variance, above {LARGEST_SHARE:.0%}"
    return ""
