"""What a pair feature looks back at: the impressions and events of consenting shoppers, by what they were about."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import Timeline, microseconds, places

PRODUCT, CATEGORY = "product", "category"  # what of a creative a pair feature is about
EVENT_COLUMNS = ("timestamp", "shopper_id", "kind", "product_id")


def known_at(rows: pd.DataFrame) -> np.ndarray:
    """When each row could be known, int64 [n] microseconds: as it happened or, where that is told, as it came in."""
    happened = microseconds(rows["timestamp"])
    if "ingested_at" not in rows:
        return happened
    came = rows["ingested_at"].where(rows["ingested_at"].notna(), rows["timestamp"])
    return np.maximum(happened, microseconds(came))


@dataclass(frozen=True)
class Subjects:
    """What creatives are about. product: ids of products, and of creatives without one, which are their own subject;
    category: names."""

    product: pd.Index
    category: pd.Index

    def codes(self, by: str, values: pd.Series) -> np.ndarray:
        """int64 [n]: place of each value; -1 where it is unknown or null."""
        return places(values, getattr(self, by))


@dataclass(frozen=True)
class PairLog:
    """Happenings of shoppers, m rows in any order.

    shopper: int64 [m], code of the shopper, -1: nobody who is asked about. codes: by PRODUCT and CATEGORY, int64 [m],
    -1: none. moment: int64 [m] (known_at). kind: object [m], of events; of impressions all `shown`.
    """

    shopper: np.ndarray
    codes: Mapping[str, np.ndarray]
    moment: np.ndarray
    kind: np.ndarray

    def timeline(self, by: str, width: int, chosen: np.ndarray) -> Timeline:
        """The rows that are `chosen` (bool [m]), sorted by (shopper, subject) and time; width: number of subjects."""
        subject = self.codes[by]
        rows = np.flatnonzero(chosen & (self.shopper >= 0) & (subject >= 0))
        return Timeline.of(pd.Series(self.shopper[rows] * width + subject[rows]), self.moment[rows])


@dataclass(frozen=True)
class PairHistory:
    """All that had happened. shoppers: the distinct ids; events: None where no pair feature reads them."""

    shoppers: pd.Index
    subjects: Subjects
    impressions: PairLog
    events: PairLog | None


@dataclass(frozen=True)
class PairTables:
    """Tables that pair features read beside the feature tables: events (EVENT_COLUMNS) of consenting shoppers, and
    products (product_id, category); None where no feature reads them."""

    events: pd.DataFrame | None
    products: pd.DataFrame | None

    def category_of(self, product_id: pd.Series) -> pd.Series:
        """The category of each product, null where it has none, or no feature is about one."""
        if self.products is None:
            return pd.Series(None, index=product_id.index, dtype="object")
        known = self.products.drop_duplicates("product_id").set_index("product_id")["category"]
        return product_id.map(known).astype("object")


def pair_history(impressions: pd.DataFrame, creatives: pd.DataFrame, past: PairTables | None) -> PairHistory:
    """Feature tables (consent among the columns), and what else there is to look back at -> PairHistory."""
    shoppers = pd.Index(impressions["shopper_id"].unique())
    known = past is not None and past.products is not None
    categories = sorted(past.products["category"].dropna().unique()) if known else []
    subjects = Subjects(pd.Index(subject_of(creatives).unique()), pd.Index(categories, dtype="object"))
    shown = places(impressions["creative_id"], pd.Index(creatives["creative_id"]))
    codes = {by: np.append(own, -1)[shown] for by, own in creative_codes(subjects, creatives, past).items()}
    shopper = np.where(impressions["consent"].to_numpy(), places(impressions["shopper_id"], shoppers), -1)
    kind = np.full(len(impressions), "shown", dtype=object)
    log = PairLog(shopper, codes, known_at(impressions), kind)
    return PairHistory(shoppers, subjects, log, _events(past, shoppers, subjects))


def subject_of(creatives: pd.DataFrame) -> pd.Series:
    """The product of each creative; its own id where it has none."""
    return creatives["product_id"].where(creatives["product_id"].notna(), creatives["creative_id"])


def creative_codes(subjects: Subjects, creatives: pd.DataFrame, past: PairTables | None) -> dict[str, np.ndarray]:
    """What each creative [n] is about, new ones too: by PRODUCT and CATEGORY, int64 [n], -1: none that is known."""
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
        places(events["shopper_id"], shoppers), codes, known_at(events), events["kind"].to_numpy(dtype=object)
    )
