"""Derived columns, for rules across rows and tables: on keys, candidates, conversions and images.

The suite's `meta.derived` says what each column holds; the rules are in expectations/. A column is not computed if the
tables that it needs are missing; the report then lists its rules as not checked, and why.
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

# Table -> columns that depend on a table that is checked later. Candidates are checked before impressions, and a
# candidate is bad if its impression is.
DEFERRED_COLUMNS = {"candidates": ("impression_id_kept",)}


@dataclass(frozen=True)
class ValidationState:
    """The card, all tables, and the valid rows of those that have been checked.

    `valid[name]` has index labels of `tables[name]`; there is none until table `name` has been checked.
    """

    card: DatasetCard
    tables: Mapping[str, pd.DataFrame]
    valid: Mapping[str, pd.DataFrame]
    parent_rows: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)  # cache of `parents`

    def parents(self, name: str, column: str) -> np.ndarray:
        """int64 [n]: for each row of table `name`, the row that `column` refers to; -1 for null or an unknown key."""
        if (name, column) not in self.parent_rows:
            parent = TABLES[name].column(column).references
            (key,) = TABLES[parent].key
            self.parent_rows[name, column] = positions(self.tables[name][column], self.tables[parent][key])
        return self.parent_rows[name, column]

    def passed(self, name: str) -> np.ndarray:
        """bool [n]: whether each row of table `name`, which has been checked, is valid."""
        index = self.tables[name].index
        passed = np.zeros(len(index), dtype=bool)
        passed[index.get_indexer(self.valid[name].index)] = True
        return passed


@dataclass(frozen=True)
class Derived:
    """Derived columns on the index of their table, and for each column that was not computed the reason."""

    columns: pd.DataFrame
    unchecked: Mapping[str, str]


def derive(name: str, state: ValidationState, deferred: bool = False) -> Derived:
    """The derived columns of table `name` without those in DEFERRED_COLUMNS; with `deferred` only the latter."""
    parts = [_references(name, state, deferred)]
    if name == "images":
        parts.append(Derived(photo_facts(state.tables["images"]["image"]), {}))
    if name == "impressions":
        parts += [_campaign_and_creative(state), _propensity_given(state), _eligibility(state), _conversions(state)]
    columns = pd.concat([part.columns for part in parts], axis=1)
    return Derived(columns, {column: why for part in parts for column, why in part.unchecked.items()})


def _references(name: str, state: ValidationState, deferred: bool) -> Derived:
    """`<column>_known`: null or a key of the table that it refers to; `<column>_kept`: null, or that row is valid."""
    frame = state.tables[name]
    columns, unchecked = {}, {}
    for column in TABLES[name].columns:
        known, kept, parent = f"{column.name}_known", f"{column.name}_kept", column.references
        if parent is None or (deferred and kept not in DEFERRED_COLUMNS[name]):
            continue
        if parent not in state.tables:
            unchecked |= dict.fromkeys((known, kept), f"there is no table {parent}")
            continue
        row = state.parents(name, column.name)
        if not deferred:
            columns[known] = (row >= 0) | frame[column.name].isna().to_numpy()
        if parent in state.valid:
            columns[kept] = (row < 0) | state.passed(parent)[row]  # an unknown key is one fault, not two
    return Derived(pd.DataFrame(columns, index=frame.index), unchecked)


def positions(values: pd.Series, keys: pd.Series) -> np.ndarray:
    """int64 [n]: the first position in `keys` of each of `values`; -1 for null or a value that is not in `keys`."""
    texts, known = pa.array(values, pa.large_string()), pa.array(keys, pa.large_string())
    first = pc.index_in(texts, value_set=known, skip_nulls=True)
    return pc.fill_null(first, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _campaign_and_creative(state: ValidationState) -> Derived:
    """`creative_campaign`, `campaign_starts_at`, `campaign_ends_at` of each impression; null for an unknown key."""
    frame, creatives, campaigns = (state.tables[name] for name in ("impressions", "creatives", "campaigns"))
    creative, campaign = (state.parents("impressions", column) for column in ("creative_id", "campaign"))
    columns = {
        "creative_campaign": _look_up(creatives["campaign"], creative, frame.index),
        "campaign_starts_at": _look_up(campaigns["starts_at"], campaign, frame.index),
        "campaign_ends_at": _look_up(campaigns["ends_at"], campaign, frame.index),
    }
    return Derived(pd.DataFrame(columns), {})


def _look_up(values: pd.Series, rows: np.ndarray, index: pd.Index) -> pd.Series:
    """`values` at the positions `rows`, null at position -1."""
    return pd.Series(values.array.take(rows, allow_fill=True), index=index)


def _propensity_given(state: ValidationState) -> Derived:
    """`propensity_given`: not null, or null in the whole table. A log without propensities can train, not evaluate."""
    propensity = state.tables["impressions"]["propensity"]
    return Derived(pd.DataFrame({"propensity_given": propensity.notna() | propensity.isna().all()}), {})


def _eligibility(state: ValidationState) -> Derived:
    """Columns on whether the shown creative was eligible: from `candidates` if present, else from its active period."""
    if "candidates" in state.tables:
        return Derived(
            _candidate_sums(state), {"creative_active": "the table candidates defines which creatives were eligible"}
        )
    frame, creatives = state.tables["impressions"], state.tables["creatives"]
    creative = state.parents("impressions", "creative_id")
    begins = _look_up(creatives["active_from"], creative, frame.index)
    ends = _look_up(creatives["active_until"], creative, frame.index)
    active = ~(frame["timestamp"] < begins) & ~(frame["timestamp"] > ends)
    absent = dict.fromkeys(("candidates_sum", "candidates_sound", "candidates_gap"), "there is no table candidates")
    return Derived(pd.DataFrame({"creative_active": active}), absent)


def _candidate_sums(state: ValidationState) -> pd.DataFrame:
    """`candidates_sum`, `candidates_sound` and `candidates_gap` of each impression."""
    frame, candidates = state.tables["impressions"], state.tables["candidates"]
    n = len(frame)
    impression = state.parents("candidates", "impression_id")  # [n_candidates]
    belongs = impression >= 0
    propensity = candidates["propensity"].to_numpy(dtype=np.float64, na_value=np.nan)
    weight = np.where(np.isfinite(propensity), propensity, 0.0)
    total = np.bincount(impression[belongs], weights=weight[belongs], minlength=n)
    count = np.bincount(impression[belongs], minlength=n)

    offered = state.parents("candidates", "creative_id")
    shown = state.parents("impressions", "creative_id")  # [n]
    is_shown = belongs & (offered >= 0)
    is_shown[is_shown] = offered[is_shown] == shown[impression[is_shown]]
    offered_propensity = np.full(n, np.nan)
    offered_propensity[impression[is_shown]] = propensity[is_shown]

    bad = ~state.passed("candidates")
    sound = np.bincount(impression[belongs & bad], minlength=n) == 0
    columns = {
        "candidates_sum": np.where(count > 0, total, np.nan),
        "candidates_sound": sound,
        "candidates_gap": np.abs(frame["propensity"].to_numpy(np.float64, na_value=np.nan) - offered_propensity),
    }
    return pd.DataFrame(columns, index=frame.index)


def _conversions(state: ValidationState) -> Derived:
    """Columns on conversions: 0 without a click, null until the window passed, then final; time within the window."""
    frame = state.tables["impressions"]
    names = ("conversion_needs_click", "conversion_open_is_null", "conversion_over_is_final")
    window = pd.Timedelta(days=state.card.conversion_window_days)
    conversion = frame["conversion"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    click = frame["click"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    at, converted_at = frame["timestamp"], frame["conversion_timestamp"]
    within = (conversion == 1) & (converted_at >= at) & (converted_at <= at + window)
    columns = {"conversion_timestamp_fits": (within | converted_at.isna()).to_numpy(dtype=bool)}
    if np.isnan(conversion).all():
        why = "conversion is null throughout: the data set does not track conversions"
        return Derived(pd.DataFrame(columns, index=frame.index), dict.fromkeys(names, why))
    over = (at + window <= pd.Timestamp(state.card.ends_at)).to_numpy(dtype=bool)
    clicked = click == 1
    columns["conversion_needs_click"] = (click != 0) | (conversion == 0)
    columns["conversion_open_is_null"] = ~clicked | over | np.isnan(conversion)
    columns["conversion_over_is_final"] = ~clicked | ~over | ~np.isnan(conversion)
    return Derived(pd.DataFrame(columns, index=frame.index), {})
