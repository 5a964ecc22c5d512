"""An assessment as a page for people: Markdown, and a picture of all intervals."""

from collections.abc import Sequence
from io import BytesIO

from components.contract.escaping import fenced, markdown
from components.evaluation.assess import Assessment
from components.evaluation.breakdowns import Part
from components.evaluation.intervals.resampling import Interval
from components.evaluation.reports.wording import to_text
from components.evaluation.result import Evaluation
from components.settings.file_names import file_name


def page(assessment: Assessment, unit: str = "rewards", truth: float | None = None) -> str:
    """Markdown: the verdict and its numbers, the trust card, checks, other rewards, segments and elements.

    unit: of the reward, in the plural. truth: the target's true value where the simulator knows it; shown beside the
    estimates, used by none.
    """
    evaluation = assessment.evaluation
    parts = [fenced(to_text(evaluation))]
    if truth is not None:
        parts += [f"The true value of the target on these impressions is {truth:.6f}."]
    parts += _card(evaluation) + _findings(evaluation) + _metrics(assessment)
    parts += _table("Lift per segment", assessment.segments, unit)
    parts += _table("Effect per element", assessment.elements, unit)
    return "\n".join(parts) + "\n"


def _card(evaluation: Evaluation) -> list[str]:
    if evaluation.card is None:
        return []
    card = evaluation.card
    lines = ["", "## Trust card", "", f"{card.clones} simulated copies of this log: {markdown(card.redrawn)}.", ""]
    lines += ["| estimator | expected error | standard error | bias on copies | unexplained bias | coverage |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for it in card.expected:
        name = f"**{it.estimator}**" if it.estimator == card.chosen else it.estimator
        numbers = (it.error, it.standard_error, it.clone_bias, it.unexplained_bias)
        lines.append(f"| {name} | " + " | ".join(f"{number:.6f}" for number in numbers) + f" | {it.coverage:.0%} |")
    return lines


def _findings(evaluation: Evaluation) -> list[str]:
    if not evaluation.findings:
        return []
    rows = [f"| {markdown(it.kind)} | {it.severity} | {markdown(it.words)} |" for it in evaluation.findings]
    return ["", "## Log integrity", "", "| check | severity | what it saw |", "| --- | --- | --- |", *rows]


def _metrics(assessment: Assessment) -> list[str]:
    if not assessment.metrics:
        return []
    lines = [
        "",
        "## Other rewards",
        "",
        "| metric | target | baseline | change | note |",
        "| --- | --- | --- | --- | --- |",
    ]
    for it in assessment.metrics:
        change = "none" if it.change is None else _share(it.change)
        lines.append(
            f"| {markdown(it.name)} | {_number(it.target)} | {_number(it.baseline)} | {change} | {markdown(it.note)} |"
        )
    return lines


def _table(title: str, parts: Sequence[Part], unit: str) -> list[str]:
    if not parts:
        return []
    lines = [
        "",
        f"## {title}",
        "",
        f"In {unit} per impression; the intervals hold for all rows of a kind together.",
        "",
    ]
    lines += ["| kind | level | impressions | effect |", "| --- | --- | ---: | --- |"]
    return lines + [
        f"| {markdown(it.kind)} | {markdown(it.level)} | {it.impressions:,} | {_number(it.effect)} |" for it in parts
    ]


def _number(it: Interval | None) -> str:
    return "none" if it is None else f"{it.value:.5f} [{it.ci_low:.5f}, {it.ci_high:.5f}]"


def _share(it: Interval) -> str:
    return f"{it.value:+.1%} [{it.ci_low:+.1%}, {it.ci_high:+.1%}]"


def picture_name(form: str, logging_policy: str) -> str:
    """File name of the picture of one form's evaluation on one logging policy's rows."""
    return f"intervals-{form}-{file_name(logging_policy, '.png')}"


def picture(evaluation: Evaluation, truth: float | None = None) -> bytes:
    """PNG of every estimate with its bootstrap interval, the finite-sample one behind it, and the baseline."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    shown = [it for it in evaluation.estimates if it.interval is not None]
    for row, it in enumerate(shown):
        colour = "tab:blue" if it.estimator == evaluation.selected else "0.35"
        if it.finite_sample is not None:
            axes.plot([it.finite_sample.ci_low, it.finite_sample.ci_high], [row, row], color="0.85", linewidth=7)
        axes.plot([it.interval.ci_low, it.interval.ci_high], [row, row], color=colour, linewidth=2.5)
        axes.plot(it.interval.value, row, "o", color=colour)
    if evaluation.baseline is not None:
        axes.axvspan(evaluation.baseline.ci_low, evaluation.baseline.ci_high, color="tab:orange", alpha=0.2)
        axes.axvline(evaluation.baseline.value, color="tab:orange", label="baseline")
    if truth is not None:
        axes.axvline(truth, color="tab:green", linestyle="--", label="truth")
    if shown:  # the finite-sample ones may fill [0, 1]: what is beyond a few times the others' width is cut off
        low, high = min(it.interval.ci_low for it in shown), max(it.interval.ci_high for it in shown)
        axes.set_xlim(low - 2 * (high - low), high + 2 * (high - low))
    axes.set_yticks(range(len(shown)), [it.estimator for it in shown])
    axes.invert_yaxis()
    axes.set_xlabel("reward per impression; 95 % bootstrap intervals, finite-sample ones behind them")
    axes.set_title(f"verdict: {evaluation.verdict}, n = {evaluation.n:,}", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
    content = BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()
