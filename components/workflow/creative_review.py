"""New creatives as people review them: the list of the last run, their decisions, and what these withdraw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from upath import UPath

from components.ads.pools.reviews import REFUSED, design_keys
from components.contract.files.tables import read_frame, write_json
from components.contract.origins import PEOPLE
from components.registry.creative_reviews import CreativeReview, read_reviews, record_reviews
from components.settings.errors import UserError
from components.settings.paths import Paths

LIST = "review/creatives.parquet"  # in the folder of the stage creatives


def write_reviews(client, name: str, paths: Paths) -> None:
    """Write the registry's decisions about creatives of the policy `name` where the stage creatives reads them."""
    decisions = read_reviews(client, name)
    if not decisions:
        paths.reviews.unlink(missing_ok=True)
        return
    latest = sorted(decisions.values(), key=lambda decision: decision.key)
    write_json(
        [{"key": one.key, "approved": one.approved, "words": one.words} for one in latest],
        paths.reviews,
    )


def listed(client, dataset: str, paths: Paths) -> list[dict[str, Any]]:
    """The creatives of the last run, as in review_list.COLUMNS, with `picture` as a path and the latest `review`.

    UserError if no run has made any.
    """
    file = paths.stage("creatives") / LIST
    if not file.exists():
        raise UserError(f"{file}: no run has listed creatives here; `adloom run {dataset}` makes and lists them")
    decisions = read_reviews(client, f"{dataset}-policy")
    table = read_frame(file).astype("object")
    rows = table.where(table.notna(), None).to_dict("records")
    for row in rows:
        decision = decisions.get(row["key"])
        row["picture"] = str(paths.stage("creatives") / row["picture"])
        row["review"] = None if decision is None else decision.words
        row["verdict"] = None if decision is None else "approved" if decision.approved else "rejected"
    return rows


def decide(
    client, dataset: str, paths: Paths, ids: Sequence[str], *, approved: bool, who: str, why: str
) -> Sequence[CreativeReview]:
    """Record a decision about creatives of the last run or of the champion; the decisions.

    UserError, with nothing recorded, for an unknown id, or an approval of one that a rule refused.
    """
    rows = {row["creative_id"]: row for row in listed(client, dataset, paths)}
    keys = {name: row["key"] for name, row in rows.items()} | _champion_keys(paths)
    for name in ids:
        if name not in keys:
            raise UserError(f"{name}: no new creative of {dataset} has this id; `adloom creatives review {dataset}`")
        row = rows.get(name, {})
        if approved and row.get("status") == REFUSED and row["rule"] != "review":
            raise UserError(f"{name}: {row['reason']} (rule {row['rule']!r}); a review approves no refused ad")
    chosen = {keys[name]: name for name in ids}
    return record_reviews(client, f"{dataset}-policy", chosen, approved=approved, who=who, why=why)


def _champion_keys(paths: Paths) -> dict[str, str]:
    """The key of each creative of the pool of the champion's local copy, by id."""
    return _keys(paths.champion)


def _keys(package: UPath | Path) -> dict[str, str]:
    file = UPath(package) / "pool" / "creatives.parquet"
    return _keys_of(read_frame(file)) if file.exists() else {}


def _keys_of(creatives: pd.DataFrame) -> dict[str, str]:
    return dict(zip(creatives["creative_id"], design_keys(creatives), strict=True))


def rejected_keys(client, name: str) -> frozenset[str]:
    """The keys that people rejected, of the policy `name`."""
    return frozenset(key for key, decision in read_reviews(client, name).items() if not decision.approved)


def rejected_ids(creatives: pd.DataFrame, rejected: frozenset[str]) -> set[str]:
    """The ids of the rows of `creatives` that Adloom made and people rejected."""
    if not rejected:
        return set()
    made = creatives[creatives["origin"] != PEOPLE]
    return {name for name, key in _keys_of(made).items() if key in rejected}


def withdrawn(package: UPath | Path, rejected: frozenset[str]) -> tuple[str, ...]:
    """The ids of the new creatives in a policy's package that people rejected since, sorted."""
    return tuple(sorted(name for name, key in _keys(package).items() if key in rejected))
