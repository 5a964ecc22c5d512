"""An evaluation as text for a terminal of 80 columns."""

from components.evaluation.intervals.resampling import Interval
from components.evaluation.result import Estimate, Evaluation


def to_text(evaluation: Evaluation) -> str:
    """The verdict with its reasons, then the numbers."""
    lines = [f"verdict   {evaluation.verdict}", *(f"          {reason}" for reason in evaluation.reasons), ""]
    lines += [f"n         {evaluation.n:,} impressions, {evaluation.uncovered:.2%} of the mass not covered"]
    lines += [_line("baseline", evaluation.baseline), _line("lift", evaluation.lift)]
    lines += [_share("relative", evaluation.relative_lift), ""]
    lines += [f"{'estimator':<13}{'value':>10}{'ci_low':>11}{'ci_high':>11}{'ess':>12}{'max_weight':>12}"]
    lines += [_row(estimate, evaluation.selected) for estimate in evaluation.estimates]
    return "\n".join(line.rstrip() for line in lines)


def _line(name: str, interval: Interval | None) -> str:
    if interval is None:
        return f"{name:<10}none"
    return f"{name:<10}{interval.value:.6f} [{interval.ci_low:.6f}, {interval.ci_high:.6f}]"


def _share(name: str, interval: Interval | None) -> str:
    if interval is None:
        return f"{name:<10}none"
    return f"{name:<10}{interval.value:+.1%} [{interval.ci_low:+.1%}, {interval.ci_high:+.1%}]"


def _row(estimate: Estimate, selected: str | None) -> str:
    mark = "*" if estimate.estimator == selected else " "
    name = f"{mark}{estimate.estimator:<12}"
    if estimate.interval is None:
        return f"{name}{'none':>10}"
    interval = estimate.interval
    ess = "" if estimate.ess is None else f"{estimate.ess:,.0f}"
    largest = "" if estimate.max_weight is None else f"{estimate.max_weight:,.2f}"
    return f"{name}{interval.value:>10.6f}{interval.ci_low:>11.6f}{interval.ci_high:>11.6f}{ess:>12}{largest:>12}"
