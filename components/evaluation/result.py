"""The result of an evaluation: estimates, the selected one, the lift, and a verdict."""

import math
from dataclasses import dataclass

from components.evaluation.gate.sample_size import SampleSizes
from components.evaluation.intervals.resampling import Interval
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.trust import TrustCard


@dataclass(frozen=True)
class Estimate:
    """One estimator's result; `interval` is None if it has none, and `why_not` then says why."""

    estimator: str
    interval: Interval | None
    ess: float | None = None  # effective sample size of the used weights, in impressions
    max_weight: float | None = None
    shrinkage: float | None = None  # the weight at which the estimator clips, shrinks or switches; None: it does not
    finite_sample: Interval | None = None  # wider; holds at any sample size, without resampling
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
    card: TrustCard | None = None  # None if no number may be shown
    sample_sizes: SampleSizes | None = (
        None  # of an abstention: what would settle it; None if more impressions would not
    )

    @property
    def verdict(self) -> str:
        """`trust` where an estimator was selected, else `abstain`."""
        return "abstain" if self.selected is None else "trust"

    def estimate(self, name: str) -> Estimate:
        """The estimate of the estimator called `name`."""
        return next(estimate for estimate in self.estimates if estimate.estimator == name)

    def to_dict(self) -> dict[str, object]:
        """The JSON of `adloom evaluate`: a missing value is None, never NaN or infinity."""
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
        """The result as text for a terminal."""
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
