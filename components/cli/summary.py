"""Outcomes of runs and the state of the registry, as tables that fit 80 columns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import click

from components.contract.escaping import terminal

MIN_TABLE_WIDTH = 78  # columns; in a narrower terminal the cells of a table would break within words


def print_summary(outcomes: Sequence[dict], as_json: bool) -> None:
    """Print the outcome of each data set's run; outcomes: the records that the flow returns."""
    if as_json:
        click.echo(json.dumps(list(outcomes), allow_nan=False))
        return
    console = _console()
    console.print("Result")
    lifts = _lifts(outcomes)
    headings = ("data set", "interest", "creatives", "policy", lifts.heading, "champion")
    rows = [
        (
            outcome["dataset"],
            _mark(outcome["interest"]),
            _mark(outcome["creatives"]),
            outcome["action"],
            lifts.cell(outcome),
            _version(outcome["champion"]),
        )
        for outcome in outcomes
    ]
    _print_rows(console, headings, rows)
    for outcome in outcomes:
        for reason in outcome["reasons"]:
            console.print(terminal(f"{outcome['dataset']}: {reason}"))
    console.print(_next_steps(outcomes), soft_wrap=True)


def print_status(rows: Sequence[dict]) -> None:
    """Print the state of the registry, one line per model, and the reasons of the last decisions."""
    console = _console()
    lifts = _lifts(rows)
    headings = ("model", "champion", "challenger", "decision", lifts.heading)
    shown = [
        (
            row["model"],
            _version(row["champion"]),
            _version(row["challenger"]),
            row["decision"] or "none yet",
            lifts.cell(row),
        )
        for row in rows
    ]
    _print_rows(console, headings, shown)
    for row in rows:
        if row["refit"] is not None:
            console.print(f"{row['model']}: v{row['refit']} acts, a refit of the champion v{row['champion']}")
        if row["reasons"]:
            console.print(terminal(f"{row['model']} v{row['latest']}: {row['reasons']}"))


def print_creatives(rows: Sequence[dict]) -> None:
    """Print creatives for review, those that wait first: texts, outcome of the rules, picture, and last review."""
    console = _console()
    order = {"waiting": 0, "admitted": 1, "refused": 2}
    for row in sorted(rows, key=lambda row: (order[row["status"]], row["campaign"], row["creative_id"])):
        texts = (row[name] for name in ("title", "headline", "price", "call_to_action", "marks"))
        refused = f": {row['reason']} (rule: {row['rule']})" if row["reason"] else ""
        lines = [
            row["creative_id"],
            f"  {row['campaign']}, {row['template'] or 'plain'}, {row['palette'] or 'mono'}: {row['status']}{refused}",
            f"  {' | '.join(text for text in texts if text)}",
            f"  {row['review']}" if row["review"] else "",
        ]
        for line in filter(None, lines):
            console.print(terminal(line))
        console.print(terminal(f"  {row['picture']}"), soft_wrap=True)  # whole, so that it can be opened
        console.print()
    counted = ", ".join(f"{sum(row['status'] == status for row in rows)} {status}" for status in order)
    console.print(counted)


def _console():
    """A console without markup, emoji and colours, because reasons quote data."""
    from rich.console import Console

    return Console(width=min(80, Console().width), markup=False, emoji=False, highlight=False)


def _print_rows(console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, or in a narrow terminal the rows one below the other."""
    from rich.box import SIMPLE
    from rich.table import Table

    if console.width < MIN_TABLE_WIDTH:
        for first, *rest in rows:
            console.print(f"\n{terminal(first)}")
            for heading, cell in zip(headings[1:], rest, strict=True):
                console.print(f"  {heading}: {terminal(cell)}")
        console.print()
        return
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading == headings[0])
    for row in rows:
        table.add_row(*map(terminal, row))
    console.print(table, "", sep="\n")


def _next_steps(outcomes: Sequence[dict]) -> str:
    """What to type next, on the data sets of this run."""
    names = [outcome["dataset"] for outcome in outcomes]
    with_ads = [outcome["dataset"] for outcome in outcomes if (outcome["creatives"] or {}).get("passed")]
    steps = [(f"adloom status {names[0]}", "its champions and decisions"), ("adloom ui", "the runs, and the registry")]
    if with_ads:
        steps.append((f"adloom generate {with_ads[0]} -n 8 --out ads", "new ads from the champion"))
    reports = [(outcome["dataset"], outcome.get("report")) for outcome in outcomes]
    steps += [(report or f"artifacts/{name}/docs/", f"the report of {name}") for name, report in reports]
    width = max(len(step) for step, _ in steps)
    return terminal("\n".join(["", "Next:", *(f"  {step:{width}}  {what}" for step, what in steps)]))


def _mark(gate: dict | None) -> str:
    return "none" if gate is None else "passed" if gate["passed"] else "refused"


def _version(number: int | None) -> str:
    return "none" if number is None else f"v{number}"


@dataclass(frozen=True)
class _Lifts:
    """A column of lifts per 1,000 impressions. unit: of all of them; None: each cell names its own."""

    unit: str | None

    @property
    def heading(self) -> str:
        return f"lift, {self.unit}/1000" if self.unit else "lift per 1,000"

    def cell(self, row: dict) -> str:
        """The lift of `row` with its interval; versions registered before units were recorded have no unit."""
        lift, unit = row["lift"], row["unit"]
        if lift is None:
            return "not known"
        value, low, high = (f"{lift[name] * 1000:+.2f}" for name in ("value", "ci_low", "ci_high"))
        return f"{value} [{low}, {high}] {'' if self.unit else unit or ''}".strip()


def _lifts(rows: Sequence[dict]) -> _Lifts:
    """One unit in the heading keeps the table within 80 columns; only tables of several units repeat it."""
    units = {row["unit"] for row in rows if row["lift"] is not None}
    return _Lifts(units.pop() if len(units) == 1 else None)
