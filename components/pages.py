"""Records of stages -> the Markdown pages that a flow run and the registry show."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def number(value: float | None, digits: int = 5) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def joined(parts: Sequence[str]) -> str:
    """The parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part) + "\n"


def items(lines: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


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


def evaluation(found: Mapping[str, Any], truths: Mapping[str, Mapping[str, float] | None]) -> str:
    """Each logging policy's evaluation: estimates, lift, verdict; beside them the truth where the world knows it."""
    parts = ["# Off-policy evaluation"]
    for name, result in found.items():
        record = result.to_dict()
        rows = [
            (each["estimator"], interval(each), number(each["ess"], 0), number(each["max_weight"], 1))
            for each in record["estimates"]
        ]
        parts += [
            f"## Logged by {name}: {record['n']:,} impressions",
            f"Verdict: **{record['verdict']}**",
            items(record["reasons"]),
            f"Baseline {interval(record['baseline'])}, lift {interval(record['lift'])}, "
            f"relative lift {interval(record['relative_lift'])}, uncovered {number(record['uncovered'], 3)}",
            table(("estimator", "value", "ESS", "largest weight"), rows),
        ]
        truth = truths.get(name)
        if truth:
            parts.append(
                f"The world's truth, which no model and no gate sees: target {number(truth['target'])}, "
                f"baseline {number(truth['baseline'])}, lift {number(truth['lift'])}."
            )
    return joined(parts)


def creatives(record: Mapping[str, Any]) -> str:
    """The generators' figures and the gate."""
    rows = []
    for name, figures in record["generators"].items():
        training = figures["training"]
        capped = "the clock" if training["capped"] else "its steps"
        rows.append((name, training["steps"], number(training["seconds"], 0), capped))
    gate = record["gate"]
    verdict = "no gate" if gate is None else "passed" if gate["passed"] else "refused"
    parts = [
        "# Creatives",
        table(("generator", "steps", "seconds", "ended by"), rows),
        f"{record['pool']} new creatives in the pool. Gate: **{verdict}**",
        items([*(gate["reasons"] if gate else ()), *record["remarks"]]),
    ]
    return joined(parts)
