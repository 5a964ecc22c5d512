"""An assessment as a Markdown page and a chart of its intervals."""

from collections.abc import Sequence
from io import BytesIO

from components.contract.escaping import fenced, markdown
from components.evaluation.assess import Assessment
from components.evaluation.breakdowns import LevelEffect
from components.evaluation.intervals.resampling import Interval
from components.evaluation.reports.wording import to_text
from components.evaluation.result import Evaluation
from components.settings.file_names import file_name


def page(assessment: Assessment, unit: str = "rewards", truth: float | None = None) -> str:
    """Markdown: the verdict and its numbers, the trust card, checks, other metrics, segments and elements.

    unit: of the reward, in the plural. truth: the target's true value if the simulator knows it, for display only.
    """
    evaluation = assessment.evaluation
    lines = [fenced(to_text(evaluation))]
    if truth is not None:
        lines += [f"The true value of the target on these impressions is {truth:.6f}."]
    lines += _card(evaluation) + _findings(evaluation) + _metrics(assessment)
    lines += _table("Lift per segment", assessment.segments, unit)
    lines += _table("Effect per element", assessment.elements, unit)
    return "\n".join(lines) + "\n"


def _card(evaluation: Evaluation) -> list[str]:
    if evaluation.card is None:
        return []
    card = evaluation.card
    lines = ["", "## Trust card", "", f"{card.clones} simulated copies of this log: {markdown(card.redrawn)}.", ""]
    lines += ["| estimator | expected error | standard error | bias on copies | unexplained bias | coverage |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for expected in card.expected:
        name = f"**{expected.estimator}**" if expected.estimator == card.chosen else expected.estimator
        numbers = (expected.error, expected.standard_error, expected.clone_bias, expected.unexplained_bias)
        lines.append(
            f"| {name} | " + " | ".join(f"{number:.6f}" for number in numbers) + f" | {expected.coverage:.0%} |"
        )
    return lines


def _findings(evaluation: Evaluation) -> list[str]:
    if not evaluation.findings:
        return []
    rows = [
        f"| {markdown(finding.kind)} | {finding.severity} | {markdown(finding.message)} |"
        for finding in evaluation.findings
    ]
    return ["", "## Log integrity", "", "| check | severity | result |", "| --- | --- | --- |", *rows]


def _metrics(assessment: Assessment) -> list[str]:
    if not assessment.metrics:
        return []
    lines = [
        "",
        "## Other metrics",
        "",
        "| metric | target | baseline | change | note |",
        "| --- | --- | --- | --- | --- |",
    ]
    for metric in assessment.metrics:
        change = "none" if metric.change is None else _share(metric.change)
        values = f"{_number(metric.target)} | {_number(metric.baseline)} | {change}"
        lines.append(f"| {markdown(metric.name)} | {values} | {markdown(metric.note)} |")
    return lines


def _table(title: str, effects: Sequence[LevelEffect], unit: str) -> list[str]:
    if not effects:
        return []
    lines = [
        "",
        f"## {title}",
        "",
        f"In {unit} per impression; the intervals of one kind hold together.",
        "",
    ]
    lines += ["| kind | level | impressions | effect |", "| --- | --- | ---: | --- |"]
    return lines + [
        f"| {markdown(effect.kind)} | {markdown(effect.level)} | {effect.impressions:,} | {_number(effect.effect)} |"
        for effect in effects
    ]


def _number(interval: Interval | None) -> str:
    return "none" if interval is None else f"{interval.value:.5f} [{interval.ci_low:.5f}, {interval.ci_high:.5f}]"


def _share(interval: Interval) -> str:
    return f"{interval.value:+.1%} [{interval.ci_low:+.1%}, {interval.ci_high:+.1%}]"


def chart_name(form: str, logging_policy: str) -> str:
    """File name of the chart of one form's evaluation on one logging policy's rows."""
    return f"intervals-{form}-{file_name(logging_policy, '.png')}"


def interval_chart(evaluation: Evaluation, truth: float | None = None) -> bytes:
    """PNG of every estimate with its bootstrap interval, the finite-sample one behind it, and the baseline."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    shown = [estimate for estimate in evaluation.estimates if estimate.interval is not None]
    for row, estimate in enumerate(shown):
        colour = "tab:blue" if estimate.estimator == evaluation.selected else "0.35"
        if estimate.finite_sample is not None:
            axes.plot(
                [estimate.finite_sample.ci_low, estimate.finite_sample.ci_high], [row, row], color="0.85", linewidth=7
            )
        axes.plot([estimate.interval.ci_low, estimate.interval.ci_high], [row, row], color=colour, linewidth=2.5)
        axes.plot(estimate.interval.value, row, "o", color=colour)
    if evaluation.baseline is not None:
        axes.axvspan(evaluation.baseline.ci_low, evaluation.baseline.ci_high, color="tab:orange", alpha=0.2)
        axes.axvline(evaluation.baseline.value, color="tab:orange", label="baseline")
    if truth is not None:
        axes.axvline(truth, color="tab:green", linestyle="--", label="truth")
    if shown:  # finite-sample intervals can be far wider than the others, so the axis cuts them off
        low, high = (
            min(estimate.interval.ci_low for estimate in shown),
            max(estimate.interval.ci_high for estimate in shown),
        )
        axes.set_xlim(low - 2 * (high - low), high + 2 * (high - low))
    axes.set_yticks(range(len(shown)), [estimate.estimator for estimate in shown])
    axes.invert_yaxis()
    axes.set_xlabel("reward per impression; 95 % bootstrap intervals, finite-sample ones behind them")
    axes.set_title(f"verdict: {evaluation.verdict}, n = {evaluation.n:,}", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
    content = BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()
