"""The gate's lower bound at one look: valid at every look, or with a planned last look.

`anytime` needs no plan and no approximation (lift_bound.py). `planned` fixes the number of impressions beforehand and
spends the error probability alpha over the share t of them that has been logged, by O'Brien & Fleming's function

    alpha*(t) = 2 - 2 Phi(z_{alpha/2} / sqrt(t)),   z_q the upper q-quantile;    Lan & DeMets 1983           (1)

(1) is the probability that a Brownian motion B, observed continuously, reaches z_{alpha/2} before t. So the bound

    mean(X) - z_{alpha/2} / sqrt(t) se(X),   X of lift_bound.py                                                      (2)

spends (1) at any number of looks, and earlier looks need not be stored. It uses the normal approximation, which is
good enough if there are at least MIN_REWARDED rewarded rows and no row's loss has more than MAX_LOSS_SHARE of the
variance. Otherwise the anytime bound decides. It has ANYTIME_SHARE of alpha, set aside beforehand; (2) has the rest.

A look after the planned end uses the log up to the planned end, because no error probability is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from components.evaluation.gate.lift_bound import LiftSums, Moments
from components.settings.sections import PromotionConfig, check_planned

MIN_REWARDED = 100
MAX_LOSS_SHARE = 0.01  # see Moments.loss_share
ANYTIME_SHARE = 0.1  # share of alpha that the anytime bound has under a planned boundary


@dataclass(frozen=True)
class Boundary:
    """The boundary of a question. planned: impressions of the last look; None: no last look."""

    kind: Literal["anytime", "planned"] = "anytime"
    planned: int | None = None

    def __post_init__(self) -> None:
        if (self.kind == "planned") != (self.planned is not None):
            raise ValueError("only a planned boundary has a number of planned impressions, and it must have one")
        if self.planned is not None:
            check_planned(self.planned)

    @classmethod
    def of(cls, config: PromotionConfig) -> "Boundary":
        """The boundary of the settings."""
        return cls(config.boundary, config.planned_impressions)

    @property
    def label(self) -> str:
        """The boundary in words, as the ledger records it with the question."""
        return "at every look" if self.planned is None else f"planned for {self.planned} impressions"


ANYTIME = Boundary()


def checkpoints(impressions: int) -> np.ndarray:
    """Numbers of impressions, at most `impressions`, for which a last look can be planned: int64, 90 per power of ten.

    They are the same for every log, so a later look has the sums at the planned end.
    """
    decades = range(2, max(3, len(str(impressions))))
    grid = np.concatenate([np.arange(10, 100) * 10**power for power in decades]).astype(np.int64)
    return grid[grid <= impressions]


@dataclass(frozen=True)
class Bound:
    """A lower bound of the lift, rewards in [0, 1]. description: which bound it is, in words."""

    value: float
    description: str


def lower_bound(sums: LiftSums, path: Sequence[Moments], alpha: float, boundary: Boundary = ANYTIME) -> Bound:
    """The lower bound at error probability `alpha`. path: moments at the checkpoints that the log has passed."""
    if boundary.planned is None:
        return Bound(sums.lower(alpha), f"the anytime-valid lower bound of the lift (error probability {alpha:.2g})")
    moments = _at(sums.moments, path, boundary.planned)
    unfit = _unfit(moments)
    if unfit:
        description = (
            f"the anytime-valid lower bound of the lift at {ANYTIME_SHARE:.0%} of the error probability {alpha:.2g} "
            f"(the normal approximation of the planned boundary cannot be relied upon: {unfit})"
        )
        return Bound(sums.lower(ANYTIME_SHARE * alpha), description)
    description = (
        f"the lower bound of the lift at {moments.impressions:,} of {boundary.planned:,} planned impressions (normal "
        f"approximation, O'Brien-Fleming boundary, error probability {alpha:.2g})"
    )
    if sums.moments.impressions > boundary.planned:
        description += "; the rows after the planned end are not judged, because no error probability is left for them"
    return Bound(planned_lower(moments, alpha, boundary.planned), description)


def planned_lower(moments: Moments, alpha: float, planned: int) -> float:
    """The bound (2) at error probability (1 - ANYTIME_SHARE) alpha."""
    mean = moments.total / moments.judged
    error = np.sqrt(max(moments.squares / moments.judged - mean**2, 0.0) / moments.judged)
    share = moments.impressions / planned
    return float(mean - norm.isf((1 - ANYTIME_SHARE) * alpha / 2) / np.sqrt(share) * error)


def _at(latest: Moments, path: Sequence[Moments], planned: int) -> Moments:
    """The moments at this look, or at the planned end if the log has passed it."""
    if latest.impressions <= planned:
        return latest
    return next(moments for moments in path if moments.impressions == planned)


def _unfit(moments: Moments) -> str:
    """Why the normal approximation is not good enough here; empty if it is."""
    if moments.rewarded < MIN_REWARDED:
        return f"{moments.rewarded} rewarded impressions, below {MIN_REWARDED}"
    if moments.squares == 0.0:
        return "the policies choose alike on every rewarded impression"
    if moments.loss_share > MAX_LOSS_SHARE:
        return f"one impression can make up {moments.loss_share:.1%} of the variance, above {MAX_LOSS_SHARE:.0%}"
    return ""
