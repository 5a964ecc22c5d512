"""A data set as it was known at an earlier time, restricted to its last days, or with a shorter attribution window.

Impressions, events, conversions and generated creatives later than `validation.as_of` are removed, so that a rerun of a
past day gives the same result as on that day. Open columns whose `features_from` is later become null. Rows without a
time (campaigns, products, shoppers, creatives made by people) stay, since the contract does not record when they became
known.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.card import DatasetCard
from components.contract.origins import PEOPLE
from components.contract.schema import TABLES
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig


def restrict_to_window(
    tables: Mapping[str, pd.DataFrame], card: DatasetCard, config: ValidationConfig
) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """Tables and card as known at `config.as_of`, with only the `config.window_days` before it; both null: unchanged.

    Impressions, events and candidates keep their rows in [as_of - window_days, as_of). The conversion of a click whose
    window is open at `as_of` is null. The card's `ends_at` becomes `as_of`. An optional table without remaining rows is
    removed. Final conversions count only if they came within `config.attribution_days` of their click. UserError if the
    log begins after `as_of` or no impression remains.
    """
    if config.attribution_days is not None:
        tables = {**tables, "impressions": attribute_conversions(tables["impressions"], card, config.attribution_days)}
    if config.as_of is None and config.window_days is None:
        return dict(tables), card
    until = min(config.as_of or card.ends_at, card.ends_at)
    since = None if config.window_days is None else until - pd.Timedelta(days=config.window_days)
    _require_impressions(tables["impressions"], card, until, since)
    known = _known_features(_known_creatives(tables, until), until) if until < card.ends_at else dict(tables)
    known = _rows_between(known, since, until)
    if until < card.ends_at:
        impressions = mask_open_conversions(known["impressions"], pd.Timestamp(until), card.conversion_window_days)
        known["impressions"] = impressions
    known = {name: table for name, table in known.items() if len(table) or TABLES[name].needed or tables[name].empty}
    return known, _card_until(card, known, until)


def attribute_conversions(impressions: pd.DataFrame, card: DatasetCard, days: int) -> pd.DataFrame:
    """Impressions with only the conversions within `days` of their click; later ones become 0, without revenue.

    A conversion is final once the data set's own window has passed, also with a shorter attribution window. UserError
    if `days` exceeds the data set's window, since it records no later conversions.
    """
    if days > card.conversion_window_days:
        limit = f"{card.name} records conversions of {card.conversion_window_days} days only"
        raise UserError(f"validation.attribution_days {days}: {limit}")
    after = impressions["conversion_timestamp"] - impressions["timestamp"]
    late = (impressions["conversion"] == 1).fillna(False).astype(bool) & (after > pd.Timedelta(days=days))
    return impressions.assign(
        conversion=impressions["conversion"].mask(late, 0),
        conversion_timestamp=impressions["conversion_timestamp"].mask(late),
        revenue=impressions["revenue"].mask(late & impressions["revenue"].notna(), 0.0),
    )


def mask_open_conversions(impressions: pd.DataFrame, until: pd.Timestamp, window_days: int) -> pd.DataFrame:
    """Impressions as known at `until`: conversion and revenue are null for clicks whose window is then still open."""
    is_open = (impressions["click"] == 1) & (impressions["timestamp"] + pd.Timedelta(days=window_days) > until)
    return impressions.assign(
        conversion=impressions["conversion"].mask(is_open),
        conversion_timestamp=impressions["conversion_timestamp"].mask(is_open),
        revenue=impressions["revenue"].mask(is_open),
    )


def _require_impressions(impressions: pd.DataFrame, card: DatasetCard, until: datetime, since: datetime | None) -> None:
    times = impressions["timestamp"]
    first, last = times.min(), times[times < until].max()
    if first >= until:
        raise UserError(f"validation.as_of {_iso(until)}: the log of {card.name} begins only at {_iso(first)}")
    if since is not None and last < since:
        raise UserError(
            f"validation.window_days: {card.name} has no impression from {_iso(since)} to {_iso(until)}; "
            f"the last one before is from {_iso(last)}"
        )


def _known_creatives(tables: Mapping[str, pd.DataFrame], until: datetime) -> dict[str, pd.DataFrame]:
    """Tables without the generated creatives that become active at `until` or later, and without their images."""
    creatives = tables["creatives"]
    later = (creatives["origin"] != PEOPLE) & (creatives["active_from"] >= until)
    if not later.any():
        return dict(tables)
    known = {**tables, "creatives": creatives[~later].reset_index(drop=True)}
    if "images" in tables:
        used = [known[name]["image_id"] for name in ("creatives", "products") if name in known]
        unseen = set(creatives.loc[later, "image_id"].dropna()) - set(pd.concat(used).dropna())
        images = tables["images"]
        known["images"] = images[~images["image_id"].isin(unseen)].reset_index(drop=True)
    return known


def _known_features(tables: Mapping[str, pd.DataFrame], until: datetime) -> dict[str, pd.DataFrame]:
    """Tables with open columns null where `features_from` is not before `until`; a column that is then empty goes."""
    known = dict(tables)
    for name, table in tables.items():
        if "features_from" not in table:
            continue
        later = (table["features_from"] >= until).to_numpy()
        opened = [column for column in table if TABLES[name].is_open(column)]
        cleared = table.assign(**{column: table[column].mask(later) for column in ("features_from", *opened)})
        empty = [column for column in opened if cleared[column].isna().all() and table[column].notna().any()]
        known[name] = cleared.drop(columns=empty)
    return known


def _rows_between(
    tables: Mapping[str, pd.DataFrame], since: datetime | None, until: datetime
) -> dict[str, pd.DataFrame]:
    """Tables with only the log rows in [since, until); a row without a time stays, so that validation reports it."""
    restricted = dict(tables)
    for name in ("impressions", "events"):
        if name in tables:
            outside = tables[name]["timestamp"] >= until
            if since is not None:
                outside |= tables[name]["timestamp"] < since
            restricted[name] = tables[name][~outside].reset_index(drop=True)
            if name == "impressions" and "candidates" in tables:
                removed = tables[name].loc[outside, "impression_id"]
                restricted["candidates"] = _without_impressions(tables["candidates"], removed)
    return restricted


def _without_impressions(candidates: pd.DataFrame, removed: pd.Series) -> pd.DataFrame:
    """Candidates without those of the impressions `removed` (ids); Arrow looks up four million ids in a second."""
    listed = pc.is_in(pa.array(candidates["impression_id"]), value_set=pa.array(removed))
    return candidates[~np.asarray(listed)].reset_index(drop=True)


def _card_until(card: DatasetCard, tables: Mapping[str, pd.DataFrame], until: datetime) -> DatasetCard:
    real, simulated = (tuple(name for name in names if name in tables) for names in (card.real, card.simulated))
    return card.model_copy(update={"ends_at": until, "real": real, "simulated": simulated})


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
