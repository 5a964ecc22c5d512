"""The page of the stage creatives."""

from collections.abc import Mapping
from typing import Any

from components.workflow.pages.markdown_parts import items, joined, number, table


def creatives_page(record: Mapping[str, Any], seconds: Mapping[str, float]) -> str:
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
