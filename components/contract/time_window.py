"""A data set -> the same data set as it was known at an earlier time, its last days only, or its soonest conversions.

What an hour after `validation.as_of` brought (impressions, events, conversions, generated creatives) is not there yet,
so a past day that is run again gives what it gave then. Open columns that `features_from` dates later are null. Other
things without a time (campaigns, products, shoppers, what people made) stay: the contract does not say when one of them
became known.
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


def cut(
    tables: Mapping[str, pd.DataFrame], card: DatasetCard, config: ValidationConfig
) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """Tables and card as known at `config.as_of`, of the `config.window_days` before it; both null: as they are.

    Of impressions, events and candidates the rows in [as_of - window_days, as_of) stay. A click whose conversion window
    is open at that time has no conversion yet. The card's log then ends there. An optional table of which nothing is
    left is left away. UserError where the log begins later, or no impression is left. Of the conversions that are final
    those count that came within `config.attribution_days`.
    """
    if config.attribution_days is not None:
        tables = {**tables, "impressions": attribute(tables["impressions"], card, config.attribution_days)}
    if config.as_of is None and config.window_days is None:
        return dict(tables), card
    until = min(config.as_of or card.ends_at, card.ends_at)
    since = None if config.window_days is None else until - pd.Timedelta(days=config.window_days)
    _require_impressions(tables["impressions"], card, until, since)
    kept = _known_features(_known(tables, until), until) if until < card.ends_at else dict(tables)
    kept = _between(kept, since, until)
    if until < card.ends_at:
        kept["impressions"] = settle(kept["impressions"], pd.Timestamp(until), card.conversion_window_days)
    kept = {name: table for name, table in kept.items() if len(table) or TABLES[name].needed or tables[name].empty}
    return kept, _moved(card, kept, until)


def attribute(impressions: pd.DataFrame, card: DatasetCard, days: int) -> pd.DataFrame:
    """Impressions whose conversions came within `days` of their click; later ones are none, and earned nothing.

    A conversion is final only once the data set's own window has passed, so a shorter one makes none known earlier, and
    a longer one cannot be known: UserError.
    """
    if days > card.conversion_window_days:
        known = f"{card.name} knows conversions of {card.conversion_window_days} days only"
        raise UserError(f"validation.attribution_days {days}: {known}")
    after = impressions["conversion_timestamp"] - impressions["timestamp"]
    late = (impressions["conversion"] == 1).fillna(False).astype(bool) & (after > pd.Timedelta(days=days))
    return impressions.assign(
        conversion=impressions["conversion"].mask(late, 0),
        conversion_timestamp=impressions["conversion_timestamp"].mask(late),
        revenue=impressions["revenue"].mask(late & impressions["revenue"].notna(), 0.0),
    )


def settle(impressions: pd.DataFrame, until: pd.Timestamp, window_days: int) -> pd.DataFrame:
    """Impressions as they stand at `until`: a click whose window is still open has no final conversion yet (null)."""
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
            f"the last one before is of {_iso(last)}"
        )


def _known(tables: Mapping[str, pd.DataFrame], until: datetime) -> dict[str, pd.DataFrame]:
    """Tables without the creatives that a generator made for later, and without their pictures."""
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
    """Tables whose open columns hold what was known before `until` (`features_from`); an empty one is not there yet."""
    known = dict(tables)
    for name, table in tables.items():
        if "features_from" not in table:
            continue
        later = (table["features_from"] >= until).to_numpy()
        opened = [column for column in table if TABLES[name].is_open(column)]
        cleared = table.assign(**{column: table[column].mask(later) for column in ("features_from", *opened)})
        gone = [column for column in opened if cleared[column].isna().all() and table[column].notna().any()]
        known[name] = cleared.drop(columns=gone)
    return known


def _between(tables: Mapping[str, pd.DataFrame], since: datetime | None, until: datetime) -> dict[str, pd.DataFrame]:
    """Tables whose logs have only rows in [since, until); a row without a time stays, for validation to refuse."""
    cut_to = dict(tables)
    for name in ("impressions", "events"):
        if name in tables:
            gone = tables[name]["timestamp"] >= until
            if since is not None:
                gone |= tables[name]["timestamp"] < since
            cut_to[name] = tables[name][~gone].reset_index(drop=True)
            if name == "impressions" and "candidates" in tables:
                cut_to["candidates"] = _without(tables["candidates"], tables[name].loc[gone, "impression_id"])
    return cut_to


def _without(candidates: pd.DataFrame, gone: pd.Series) -> pd.DataFrame:
    """Candidates of other impressions than those `gone`; Arrow looks up four million ids in a second."""
    listed = pc.is_in(pa.array(candidates["impression_id"]), value_set=pa.array(gone))
    return candidates[~np.asarray(listed)].reset_index(drop=True)


def _moved(card: DatasetCard, tables: Mapping[str, pd.DataFrame], until: datetime) -> DatasetCard:
    real, simulated = (tuple(name for name in names if name in tables) for names in (card.real, card.simulated))
    return card.model_copy(update={"ends_at": until, "real": real, "simulated": simulated})


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
