"""The history that pair features are computed from: impressions and events of consenting shoppers, by subject."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import Timeline, microseconds, positions

PRODUCT, CATEGORY = "product", "category"  # attributes of a creative that rows are matched by
EVENT_COLUMNS = ("timestamp", "shopper_id", "kind", "product_id")


def known_moments(rows: pd.DataFrame) -> np.ndarray:
    """int64 [n], microseconds: the time from which each row is known, its `ingested_at` if later than its timestamp."""
    moment = microseconds(rows["timestamp"])
    if "ingested_at" not in rows:
        return moment
    ingested = rows["ingested_at"].where(rows["ingested_at"].notna(), rows["timestamp"])
    return np.maximum(moment, microseconds(ingested))


@dataclass(frozen=True)
class Subjects:
    """The subjects of creatives. product: ids of products, and of creatives without a product; category: names."""

    product: pd.Index
    category: pd.Index

    def codes(self, by: str, values: pd.Series) -> np.ndarray:
        """int64 [n]: the position of each value; -1 for null or an unknown value."""
        return positions(values, getattr(self, by))


@dataclass(frozen=True)
class PairLog:
    """Events or impressions of shoppers, m rows in any order.

    shopper: int64 [m], code of the shopper, -1: not in the impressions, or without consent. codes: by PRODUCT and
    CATEGORY, int64 [m], -1: none. moment: int64 [m] (known_moments). kind: object [m], of events; `shown` for
    impressions.
    """

    shopper: np.ndarray
    codes: Mapping[str, np.ndarray]
    moment: np.ndarray
    kind: np.ndarray

    def timeline(self, by: str, width: int, chosen: np.ndarray) -> Timeline:
        """The timeline of the rows `chosen` (bool [m]) by (shopper, subject); width: number of subjects."""
        subject = self.codes[by]
        rows = np.flatnonzero(chosen & (self.shopper >= 0) & (subject >= 0))
        return Timeline.of(self.shopper[rows] * width + subject[rows], self.moment[rows])


@dataclass(frozen=True)
class PairHistory:
    """All rows that pair features may read. shoppers: distinct ids; events: None if no pair feature reads them."""

    shoppers: pd.Index
    subjects: Subjects
    impressions: PairLog
    events: PairLog | None


@dataclass(frozen=True)
class PairTables:
    """Tables that pair features read in addition to the feature tables: events (EVENT_COLUMNS) of consenting shoppers,
    and products (product_id, category); None if no feature reads them."""

    events: pd.DataFrame | None
    products: pd.DataFrame | None

    def category_of(self, product_id: pd.Series) -> pd.Series:
        """The category of each product; null if it has none or there is no table of products."""
        if self.products is None:
            return pd.Series(None, index=product_id.index, dtype="object")
        known = self.products.drop_duplicates("product_id").set_index("product_id")["category"]
        return product_id.map(known).astype("object")


def pair_history(impressions: pd.DataFrame, creatives: pd.DataFrame, past: PairTables | None) -> PairHistory:
    """The history in the feature tables (with the column `consent`) and the tables `past`."""
    shoppers = pd.Index(impressions["shopper_id"].unique())
    known = past is not None and past.products is not None
    categories = sorted(past.products["category"].dropna().unique()) if known else []
    subjects = Subjects(pd.Index(subject_of(creatives).unique()), pd.Index(categories, dtype="object"))
    shown = positions(impressions["creative_id"], pd.Index(creatives["creative_id"]))
    codes = {by: np.append(code, -1)[shown] for by, code in creative_codes(subjects, creatives, past).items()}
    shopper = np.where(impressions["consent"].to_numpy(), positions(impressions["shopper_id"], shoppers), -1)
    kind = np.full(len(impressions), "shown", dtype=object)
    log = PairLog(shopper, codes, known_moments(impressions), kind)
    return PairHistory(shoppers, subjects, log, _events(past, shoppers, subjects))


def subject_of(creatives: pd.DataFrame) -> pd.Series:
    """The product of each creative, or its creative_id if it has none."""
    return creatives["product_id"].where(creatives["product_id"].notna(), creatives["creative_id"])


def creative_codes(subjects: Subjects, creatives: pd.DataFrame, past: PairTables | None) -> dict[str, np.ndarray]:
    """The subjects of creatives [n], also new ones: by PRODUCT and CATEGORY, int64 [n], -1: none or unknown."""
    category = pd.Series(None, index=creatives.index, dtype="object")
    if past is not None:
        category = past.category_of(creatives["product_id"])
    return {
        PRODUCT: subjects.codes(PRODUCT, subject_of(creatives)),
        CATEGORY: subjects.codes(CATEGORY, category),
    }


def _events(past: PairTables | None, shoppers: pd.Index, subjects: Subjects) -> PairLog | None:
    if past is None or past.events is None:
        return None
    events = past.events
    category = past.category_of(events["product_id"])
    codes = {PRODUCT: subjects.codes(PRODUCT, events["product_id"]), CATEGORY: subjects.codes(CATEGORY, category)}
    return PairLog(
        positions(events["shopper_id"], shoppers), codes, known_moments(events), events["kind"].to_numpy(dtype=object)
    )
