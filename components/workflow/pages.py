"""The Markdown pages of the stages, which a flow run and the registry show."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from components.contract.escaping import Markup, csv_cell, markdown

# what the predicted lift of a policy counts, by its objective
OBJECTIVE_UNITS = {
    "click": "clicks",
    "conversion": "conversions",
    "revenue": "revenue",
    "campaign": "in the unit of each campaign's objective",
}


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells that are not Markup are escaped."""
    lines = ["| " + " | ".join(markdown(heading) for heading in headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(markdown(cell) for cell in row) + " |" for row in rows)])


def number(value: float | None, digits: int = 5) -> str:
    """A figure, or a dash if there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def joined(parts: Sequence[str]) -> str:
    """The non-empty parts, as paragraphs."""
    return "\n\n".join(part for part in parts if part) + "\n"


def items(lines: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {markdown(line)}" for line in lines)


def interval(record: Mapping[str, float | None] | None) -> str:
    """value [ci_low, ci_high], or a dash."""
    if record is None or record["value"] is None:
        return "-"
    return f"{number(record['value'])} [{number(record['ci_low'])}, {number(record['ci_high'])}]"


def features(built) -> str:
    """The page of the stage features: sizes, what this data set cannot have, and a few shopper profiles."""
    impressions = built.impressions
    splits = impressions.groupby("split")["click"].agg(["size", "sum"]).reset_index()
    columns = [name for name in impressions if name.startswith(("shopper_", "context_"))]
    profiles = built.shopper_profiles.head(8)
    parts = [
        "# Features",
        f"{len(impressions):,} impressions x {len(columns)} columns, {len(built.creatives):,} creatives.",
        table(("split", "impressions", "clicks"), splits.to_numpy().tolist()),
        items(built.messages),
    ]
    if len(profiles):
        parts += ["## Some shopper profiles", table(list(profiles.columns), profiles.astype(str).to_numpy().tolist())]
    return joined(parts)


def interest(record: Mapping[str, Any]) -> str:
    """The page of the stage interest: the models side by side, and the gate."""
    rows = [
        (
            candidate["name"] + (" (champion)" if candidate["name"] == record["champion"] else ""),
            number(candidate["report"]["log_loss"], 6),
            number(candidate["report"]["base_log_loss"], 6),
            interval(candidate["report"]["gain"]),
            interval(candidate["report"]["calibration_error"]),
        )
        for candidate in record["candidates"]
    ]
    headings = ("model", "log loss", "of the base rate", "gain per impression, nats", "calibration error")
    verdict = "passed" if record["passed"] else "refused"
    parts = ["# Interest", table(headings, rows), f"Gate: **{verdict}**", items(record["reasons"])]
    return joined(parts)


def estimates(forms: Sequence[Mapping[str, Any]]) -> str:
    """Every estimate with a value as CSV: form, logging_policy, estimator, value, ci_low, ci_high.

    A logging policy's name that a spreadsheet would run as a formula begins with `'` (escaping.csv_cell).
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    bounds = ("value", "ci_low", "ci_high")
    rows.writerow(("form", "logging_policy", "estimator", *bounds))
    for record in forms:
        for log in record["logs"]:
            for estimate in log["evaluation"]["estimates"]:
                if estimate["value"] is not None:
                    cells = (record["form"], log["logging_policy"], estimate["estimator"])
                    rows.writerow(map(csv_cell, (*cells, *(estimate[name] for name in bounds))))
    return text.getvalue()


def slice_judged(judged: bool, unit: str) -> str:
    """A paragraph on the rows behind an evaluation's figures, and their unit."""
    units = f"Values are in {unit} per impression; 1,000 times that is {unit} per 1,000 impressions.\n"
    if judged:
        return (
            "Figures of the **judged** rows, on which nothing was chosen; the ledger was charged for the look. " + units
        )
    return (
        "A preview: figures of the **select** slice, on which temperatures were chosen, so they are too optimistic. "
        "`adloom run` charges the ledger and judges the policy on later rows. " + units
    )


def temperatures(
    chosen: Mapping[str, float], forecasts: Mapping[str, Sequence[Mapping[str, float]]], objective: str
) -> str:
    """The lift of each temperature predicted on the select slice, and the chosen temperature of each form.

    objective: what the policy maximises, `evaluation.policy.objective`.
    """
    rows = []
    for form, of_form in forecasts.items():
        for forecast in of_form:
            temperature = f"{forecast['temperature']:g}"
            if forecast["temperature"] == chosen[form]:
                temperature = Markup(f"**{temperature}**")
            figures = number(forecast["lift"]), number(forecast["standard_error"]), f"{forecast['chance']:.0%}"
            rows.append((form, temperature, *figures))
    lift = f"predicted lift, {OBJECTIVE_UNITS[objective]}"
    headings = ("form", "temperature", lift, "standard error when judged", "chance to be proven")
    return joined(["# Choice of the temperature", table(headings, rows)])


def truth(values: Mapping[str, float] | None, unit: str, simulated: bool) -> str:
    """The simulator's truth beside the estimates; nothing for real data."""
    if values is None and simulated:
        return f"\nThe true {unit} of both policies are not known here, so none are shown.\n"
    if values is None:
        return ""
    return (
        f"\nThe simulator's truth, which no model and no gate reads: target {number(values['target'])}, "
        f"baseline {number(values['baseline'])}, lift {number(values['lift'])} {unit} per impression.\n"
    )


def creatives(record: Mapping[str, Any], seconds: Mapping[str, float]) -> str:
    """The page of the stage creatives: the generators' figures and the gate."""
    rows = []
    for name, training in record["generators"].items():
        limit = "time" if training["capped"] else "steps"
        rows.append((name, training["steps"], number(seconds.get(name), 0), limit, training["restarts"]))
    measured = {**record.get("quality", {}), "real photos": record.get("real_photos", {})}
    figures = list(measured["real photos"])
    quality = [
        (name, *(number(values[figure], 3) for figure in figures)) for name, values in measured.items() if values
    ]
    gate = record["gate"]
    verdict = "no gate" if gate is None else "passed" if gate["passed"] else "refused"
    parts = [
        "# Creatives",
        table(("generator", "steps", "seconds", "limited by", "restarts after collapse"), rows) if rows else "",
        table(("images of", *figures), quality) if quality else "",
        f"{record['pool']} new creatives in the pool. Gate: **{verdict}**",
        "The losses of each training are in TensorBoard: `adloom ui`." if rows else "",
        items([*(gate["reasons"] if gate else ()), *record["remarks"]]),
    ]
    return joined(parts)
