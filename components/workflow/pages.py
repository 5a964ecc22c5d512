"""Records of stages -> the Markdown pages that a flow run and the registry show."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from components.contract.escaping import Markup, csv_cell, markdown


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells that are no Markup are shown as they are."""
    lines = ["| " + " | ".join(markdown(heading) for heading in headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(markdown(cell) for cell in row) + " |" for row in rows)])


def number(value: float | None, digits: int = 5) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def joined(parts: Sequence[str]) -> str:
    """The parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part) + "\n"


def items(lines: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {markdown(line)}" for line in lines)


def interval(found: Mapping[str, float | None] | None) -> str:
    """value [ci_low, ci_high], or a dash."""
    if found is None or found["value"] is None:
        return "-"
    return f"{number(found['value'])} [{number(found['ci_low'])}, {number(found['ci_high'])}]"


def features(built) -> str:
    """What was built and what this data set cannot have, with a few shopper profiles."""
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
    """The models of interest side by side, and the gate."""
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
    """Every estimate as CSV: form, logging_policy, estimator, value, ci_low, ci_high; without those with no value.

    A logging policy's name that a spreadsheet would run as a formula begins with `'` (escaping.csv_cell).
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    bounds = ("value", "ci_low", "ci_high")
    rows.writerow(("form", "logging_policy", "estimator", *bounds))
    for record in forms:
        for log in record["logs"]:
            told = [each for each in log["evaluation"]["estimates"] if each["value"] is not None]
            for each in told:
                figures = (each[name] for name in bounds)
                rows.writerow(map(csv_cell, (record["form"], log["logging_policy"], each["estimator"], *figures)))
    return text.getvalue()


def slice_judged(judged: bool, unit: str) -> str:
    """Which rows an evaluation's figures are of, and their unit."""
    units = f"Values are in {unit} per impression; 1,000 times that is {unit} per 1,000 impressions.\n"
    if judged:
        return (
            "Figures of the **judged** rows, which nothing was chosen on; the ledger was charged for the look. " + units
        )
    return (
        "A preview: figures of the **select** slice, on which temperatures were chosen, so they flatter the policy. "
        "`adloom run` charges the ledger and judges the policy on later rows. " + units
    )


def temperatures(chosen: Mapping[str, float], offered: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """What each temperature promised on the select slice, and which one each form of the policy acts at."""
    rows = [
        (
            form,
            Markup(f"**{each['temperature']:g}**")
            if each["temperature"] == chosen[form]
            else f"{each['temperature']:g}",
            number(each["lift"]),
            number(each["standard_error"]),
            f"{each['chance']:.0%}",
        )
        for form, promised in offered.items()
        for each in promised
    ]
    headings = ("form", "temperature", "predicted lift, clicks", "standard error when judged", "chance to be proven")
    return joined(["# How boldly to choose", table(headings, rows)])


def truth(known: Mapping[str, float] | None, unit: str, simulated: bool) -> str:
    """What the simulator's law says beside the estimates; nothing for real data."""
    if known is None and simulated:
        return f"\nThe simulator's law does not say what is true of {unit}, so no truth is shown.\n"
    if known is None:
        return ""
    return (
        f"\nThe simulator's truth, which no model and no gate sees: target {number(known['target'])}, "
        f"baseline {number(known['baseline'])}, lift {number(known['lift'])} {unit} per impression.\n"
    )


def creatives(record: Mapping[str, Any], seconds: Mapping[str, float]) -> str:
    """The generators' figures and the gate."""
    rows = []
    for name, training in record["generators"].items():
        capped = "the clock" if training["capped"] else "its steps"
        rows.append((name, training["steps"], number(seconds.get(name), 0), capped, training["restarts"]))
    measured = {**record.get("quality", {}), "real photos": record.get("real_photos", {})}
    figures = list(measured["real photos"])
    quality = [(name, *(number(each[figure], 3) for figure in figures)) for name, each in measured.items() if each]
    gate = record["gate"]
    verdict = "no gate" if gate is None else "passed" if gate["passed"] else "refused"
    parts = [
        "# Creatives",
        table(("generator", "steps", "seconds", "ended by", "restarts after collapse"), rows) if rows else "",
        table(("pictures of", *figures), quality) if quality else "",
        f"{record['pool']} new creatives in the pool. Gate: **{verdict}**",
        items([*(gate["reasons"] if gate else ()), *record["remarks"]]),
    ]
    return joined(parts)
