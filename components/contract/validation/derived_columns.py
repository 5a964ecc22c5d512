"""Columns computed so that a suite can state rules across rows and tables: keys, candidates, conversions, pictures.

What each column holds is written in the suite's `meta.derived`; the rules themselves stay in expectations/. A column
whose tables are absent is not computed, and the report says that its rules were not checked, and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.card import DatasetCard
from components.contract.schema import TABLES
from components.contract.validation.image_headers import photo_facts

# What can be known of a table only after one that is looked at later: candidates vouch for impressions, and fall with
# them.
LATE = {"candidates": ("impression_id_kept",)}


@dataclass(frozen=True)
class Seen:
    """What is known when a table's rows are looked at: the card, all tables, and those whose bad rows are gone.

    `kept[name]` has the index labels of `tables[name]`; it lacks `name` until its rows have been looked at.
    """

    card: DatasetCard
    tables: Mapping[str, pd.DataFrame]
    kept: Mapping[str, pd.DataFrame]
    found: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)  # what `parents` has looked up already

    def parents(self, name: str, column: str) -> np.ndarray:
        """int64 [n]: the row of the table that `column` of table `name` refers to; -1 for null or no such key."""
        if (name, column) not in self.found:
            parent = TABLES[name].column(column).references
            (key,) = TABLES[parent].key
            self.found[name, column] = positions(self.tables[name][column], self.tables[parent][key])
        return self.found[name, column]

    def passed(self, name: str) -> np.ndarray:
        """bool [n]: whether each row of table `name`, looked at before, passed its own rules."""
        index, kept = self.tables[name].index, self.kept[name].index
        alive = np.zeros(len(index), dtype=bool)
        alive[index.get_indexer(kept)] = True
        return alive


@dataclass(frozen=True)
class Derived:
    """Derived columns on the index of their table, and for each one not computed the reason in words."""

    columns: pd.DataFrame
    unchecked: Mapping[str, str]


def derive(name: str, seen: Seen, late: bool = False) -> Derived:
    """The derived columns of table `name`; with `late` only those in LATE, which the first look does without."""
    parts = [_references(name, seen, late)]
    if name == "images":
        parts.append(Derived(photo_facts(seen.tables["images"]["image"]), {}))
    if name == "impressions":
        parts += [_campaign_and_creative(seen), _eligibility(seen), _conversions(seen)]
    columns = pd.concat([part.columns for part in parts], axis=1)
    return Derived(columns, {column: why for part in parts for column, why in part.unchecked.items()})


def _references(name: str, seen: Seen, late: bool) -> Derived:
    """`<column>_known`: null, or a key of the table it refers to; `<column>_kept`: that row passed its own rules."""
    frame = seen.tables[name]
    columns, unchecked = {}, {}
    for column in TABLES[name].columns:
        known, kept, parent = f"{column.name}_known", f"{column.name}_kept", column.references
        if parent is None or (late and kept not in LATE[name]):
            continue
        if parent not in seen.tables:
            unchecked |= dict.fromkeys((known, kept), f"there is no table {parent}")
            continue
        row = seen.parents(name, column.name)
        if not late:
            columns[known] = (row >= 0) | frame[column.name].isna().to_numpy()
        if parent in seen.kept:
            columns[kept] = (row < 0) | seen.passed(parent)[row]  # a key that names nothing is one fault, not two
    return Derived(pd.DataFrame(columns, index=frame.index), unchecked)


def positions(values: pd.Series, keys: pd.Series) -> np.ndarray:
    """int64 [n]: where in `keys` each of `values` first stands; -1 where it does not, or is null."""
    wanted, known = pa.array(values, pa.large_string()), pa.array(keys, pa.large_string())
    found = pc.index_in(wanted, value_set=known, skip_nulls=True)
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _campaign_and_creative(seen: Seen) -> Derived:
    """`creative_campaign`, `campaign_starts_at`, `campaign_ends_at`: what the rows name, looked up; null where not."""
    frame, creatives, campaigns = (seen.tables[name] for name in ("impressions", "creatives", "campaigns"))
    creative, campaign = (seen.parents("impressions", column) for column in ("creative_id", "campaign"))
    columns = {
        "creative_campaign": _look_up(creatives["campaign"], creative, frame.index),
        "campaign_starts_at": _look_up(campaigns["starts_at"], campaign, frame.index),
        "campaign_ends_at": _look_up(campaigns["ends_at"], campaign, frame.index),
    }
    return Derived(pd.DataFrame(columns), {})


def _look_up(values: pd.Series, rows: np.ndarray, index: pd.Index) -> pd.Series:
    """`values` at the positions `rows`, null where the position is -1."""
    found = values.array.take(rows, allow_fill=True)
    return pd.Series(found, index=index)


def _eligibility(seen: Seen) -> Derived:
    """What makes the shown creative eligible: `candidates` where there are any, else its active period."""
    if "candidates" in seen.tables:
        return Derived(_candidate_sums(seen), {"creative_active": "candidates say what was eligible"})
    frame, creatives = seen.tables["impressions"], seen.tables["creatives"]
    creative = seen.parents("impressions", "creative_id")
    begins = _look_up(creatives["active_from"], creative, frame.index)
    ends = _look_up(creatives["active_until"], creative, frame.index)
    active = ~(frame["timestamp"] < begins) & ~(frame["timestamp"] > ends)
    absent = dict.fromkeys(("candidates_sum", "candidates_sound", "candidates_gap"), "there is no table candidates")
    return Derived(pd.DataFrame({"creative_active": active}), absent)


def _candidate_sums(seen: Seen) -> pd.DataFrame:
    """`candidates_sum`, `candidates_sound` and `candidates_gap` of each impression."""
    frame, candidates = seen.tables["impressions"], seen.tables["candidates"]
    n = len(frame)
    impression = seen.parents("candidates", "impression_id")  # [n_candidates]
    belongs = impression >= 0
    propensity = candidates["propensity"].to_numpy(dtype=np.float64, na_value=np.nan)
    weight = np.where(np.isfinite(propensity), propensity, 0.0)
    total = np.bincount(impression[belongs], weights=weight[belongs], minlength=n)
    count = np.bincount(impression[belongs], minlength=n)

    offered = seen.parents("candidates", "creative_id")
    shown = seen.parents("impressions", "creative_id")  # [n]
    is_shown = belongs & (offered >= 0)
    is_shown[is_shown] = offered[is_shown] == shown[impression[is_shown]]
    offered_propensity = np.full(n, np.nan)
    offered_propensity[impression[is_shown]] = propensity[is_shown]

    bad = ~seen.passed("candidates")
    sound = np.bincount(impression[belongs & bad], minlength=n) == 0
    columns = {
        "candidates_sum": np.where(count > 0, total, np.nan),
        "candidates_sound": sound,
        "candidates_gap": np.abs(frame["propensity"].to_numpy(np.float64, na_value=np.nan) - offered_propensity),
    }
    return pd.DataFrame(columns, index=frame.index)


def _conversions(seen: Seen) -> Derived:
    """Conversion is 0 without a click, null until the window has passed, then final; its time lies in the window."""
    frame = seen.tables["impressions"]
    names = ("conversion_needs_click", "conversion_open_is_null", "conversion_over_is_final")
    window = pd.Timedelta(days=seen.card.conversion_window_days)
    conversion = frame["conversion"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    click = frame["click"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    at, converted_at = frame["timestamp"], frame["conversion_timestamp"]
    within = (conversion == 1) & (converted_at >= at) & (converted_at <= at + window)
    columns = {"conversion_timestamp_fits": (within | converted_at.isna()).to_numpy(dtype=bool)}
    if np.isnan(conversion).all():
        why = "conversion is null throughout: the data set does not track conversions"
        return Derived(pd.DataFrame(columns, index=frame.index), dict.fromkeys(names, why))
    over = (at + window <= pd.Timestamp(seen.card.ends_at)).to_numpy(dtype=bool)
    clicked = click == 1
    columns["conversion_needs_click"] = (click != 0) | (conversion == 0)
    columns["conversion_open_is_null"] = ~clicked | over | np.isnan(conversion)
    columns["conversion_over_is_final"] = ~clicked | ~over | ~np.isnan(conversion)
    return Derived(pd.DataFrame(columns, index=frame.index), {})
