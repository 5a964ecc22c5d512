"""The parts of the page of the stage evaluation, and its estimates as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from components.contract.escaping import Markup, csv_cell
from components.workflow.pages.markdown_parts import joined, number, table

# what the predicted lift of a policy counts, by its objective
OBJECTIVE_UNITS = {
    "click": "clicks",
    "conversion": "conversions",
    "revenue": "revenue",
    "campaign": "in the unit of each campaign's objective",
}


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


def candidates(compared: Sequence[Mapping[str, Any]], objective: str) -> str:
    """Every policy among which one was chosen on the select slice, with the lift and chance predicted for each form."""
    rows = []
    for candidate in compared:
        for form, forecast in candidate["forms"].items():
            name = Markup(f"**{candidate['name']}**") if candidate["chosen"] else candidate["name"]
            share = f"{candidate['exploration']:.1%}"
            figures = number(forecast["lift"]), f"{forecast['chance']:.0%}", number(candidate["expected_lift"])
            rows.append((name, share, form, f"{forecast['temperature']:g}", *figures))
    lift = f"predicted lift, {OBJECTIVE_UNITS[objective]}"
    headings = ("policy", "exploration", "form", "temperature", lift, "chance to be proven", "expected lift")
    told = "The policy whose acting form has the largest lift times chance to be proven is judged.\n"
    return joined(["# Choice of the policy", told, table(headings, rows)])


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
