"""Outcomes of runs and the registry's standing, as tables that fit 80 columns."""

import json
from collections.abc import Sequence

import click

NEXT = """
Next:
  adloom status                                 what stands, and why
  adloom ui                                     the runs, and the registry
  adloom generate marketplace -n 8 --out ads    new ads from the champion
  artifacts/DATASET/docs/                       the reports"""


def print_summary(outcomes: Sequence[dict], as_json: bool) -> None:
    """Print what each data set's run ended in: `outcomes` are the records that the flow returns."""
    if as_json:
        click.echo(json.dumps(list(outcomes), allow_nan=False))
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What the evidence says", title_justify="left", box=SIMPLE)
    for heading in ("data set", "interest", "creatives", "policy", "lift, clicks/1000", "champion"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "data set")
    for outcome in outcomes:
        table.add_row(
            outcome["dataset"],
            _mark(outcome["interest"]),
            _mark(outcome["creatives"]),
            outcome["action"],
            _per_mille(outcome["lift"]),
            "none" if outcome["champion"] is None else f"v{outcome['champion']}",
        )
    console = Console(width=min(80, Console().width))
    console.print(table)
    for outcome in outcomes:
        for reason in outcome["reasons"]:
            console.print(f"{outcome['dataset']}: {reason}", highlight=False)
    console.print(NEXT, highlight=False)


def print_status(rows: Sequence[dict]) -> None:
    """Print the registry's standing, one line per model, and the reason of the last decision below it."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE)
    for heading in ("model", "champion", "challenger", "decision", "lift, clicks/1000"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "model")
    for row in rows:
        table.add_row(
            row["model"],
            _version(row["champion"]),
            _version(row["challenger"]),
            row["decision"] or "none yet",
            _per_mille(row["lift"]),
        )
    console = Console(width=min(80, Console().width))
    console.print(table)
    for row in rows:
        if row["reasons"]:
            console.print(f"{row['model']} v{row['latest']}: {row['reasons']}", highlight=False)


def _mark(gate: dict | None) -> str:
    return "none" if gate is None else "passed" if gate["passed"] else "refused"


def _version(number: int | None) -> str:
    return "none" if number is None else f"v{number}"


def _per_mille(lift: dict | None) -> str:
    if lift is None:
        return "not known"
    return f"{lift['value'] * 1000:+.2f} [{lift['ci_low'] * 1000:+.2f}, {lift['ci_high'] * 1000:+.2f}]"
