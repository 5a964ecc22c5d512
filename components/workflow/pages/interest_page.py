"""The page of the stage interest."""

from collections.abc import Mapping
from typing import Any

from components.workflow.pages.markdown_parts import interval, items, joined, number, table


def interest_page(record: Mapping[str, Any]) -> str:
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
