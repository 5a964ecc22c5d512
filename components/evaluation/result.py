"""What an evaluation says: estimates, the one selected, the lift, and whether to believe it."""

import math
from dataclasses import dataclass

from components.evaluation.gate.sample_size import Outlook
from components.evaluation.intervals.resampling import Interval
from components.evaluation.log_checks.integrity import Finding
from components.evaluation.trust import TrustCard


@dataclass(frozen=True)
class Estimate:
    """One estimator's answer; `interval` is None where it has none, and `why_not` then says why."""

    estimator: str
    interval: Interval | None
    ess: float | None = None  # impressions that the used weights are worth
    max_weight: float | None = None
    shrinkage: float | None = None  # where weights were clipped, shrunk or switched; None: nowhere
    finite_sample: Interval | None = None  # holds at any sample size, without resampling; wider
    why_not: str | None = None

    def to_dict(self) -> dict[str, object]:
        """The JSON of one estimate."""
        interval = _interval(self.interval)
        return {"estimator": self.estimator, **interval, "ess": self.ess, "max_weight": self.max_weight}


@dataclass(frozen=True)
class Evaluation:
    """An off-policy evaluation of one target policy on one log."""

    n: int
    baseline: Interval | None
    estimates: tuple[Estimate, ...]
    selected: str | None
    lift: Interval | None
    relative_lift: Interval | None
    uncovered: float
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    card: TrustCard | None = None  # None where the log cannot carry any number
    outlook: Outlook | None = None  # of an abstention: what would settle it; None where more impressions would not

    @property
    def verdict(self) -> str:
        """`trust` where an estimator was selected, else `abstain`."""
        return "abstain" if self.selected is None else "trust"

    def estimate(self, name: str) -> Estimate:
        """The estimate of the estimator called `name`."""
        return next(estimate for estimate in self.estimates if estimate.estimator == name)

    def to_dict(self) -> dict[str, object]:
        """The JSON of `adloom evaluate`: no NaN, no infinity; what has no value is None."""
        return _finite(
            {
                "n": self.n,
                "baseline": _interval(self.baseline),
                "estimates": [estimate.to_dict() for estimate in self.estimates],
                "selected": self.selected,
                "lift": None if self.lift is None else self.lift.to_dict(),
                "relative_lift": None if self.relative_lift is None else self.relative_lift.to_dict(),
                "uncovered": self.uncovered,
                "verdict": self.verdict,
                "reasons": list(self.reasons),
            }
        )

    def to_text(self) -> str:
        """The same for a person at a terminal."""
        from components.evaluation.reports.wording import to_text

        return to_text(self)


def _interval(interval: Interval | None) -> dict[str, float | None]:
    return {"value": None, "ci_low": None, "ci_high": None} if interval is None else interval.to_dict()


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
