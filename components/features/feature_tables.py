"""Tables and a FeatureModel -> the features of every impression and creative, correct as of each impression's time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from components.features.categoricals import side_by_side
from components.features.feature_model import FeatureModel, consented, refused
from components.features.pairs import pair_feature
from components.features.pairs.pair_history import CATEGORY, EVENT_COLUMNS, PairTables, creative_codes, pair_history
from components.features.pairs.pair_values import AskedPairs, PairValues, by_category
from components.features.products.creative_features import headline_trait, things_shown
from components.features.products.open_columns import Versions, known_from
from components.features.shoppers.shopper_history import Asked, touches_of
from components.features.shoppers.shopper_profiles import shopper_profiles
from components.features.time_splits import JUDGE, SELECT
from components.features.timeline import microseconds, places
from components.settings.sections import FeaturesConfig

COPIED = ("impression_id", "shopper_id", "campaign", "creative_id", "timestamp", "click", "propensity", "position")


@dataclass(frozen=True)
class Features:
    """What the later stages read.

    impressions: ids, outcome, `split` (train, calibrate, select, judge), `consent`, `segment`, then float32 columns
    `shopper_*` and `context_*`. creatives: ids, then float32 columns `creative_*`, as they are known now.
    shopper_profiles: for people. messages: what this data set cannot have, one sentence each. earlier: versions of
    rows of `creatives` that impressions before their `known_until` see; None and no rows: there are none. pairs: names
    of pair features; past: what they look back at beside these tables, None where they read no more.
    """

    impressions: pd.DataFrame
    creatives: pd.DataFrame
    shopper_profiles: pd.DataFrame
    messages: tuple[str, ...] = ()
    earlier: pd.DataFrame | None = None
    pairs: tuple[str, ...] = ()
    past: PairTables | None = None

    @cached_property
    def versions(self) -> Versions:
        """The rows of the creatives with their earlier versions."""
        return Versions.of(self.creatives, self.earlier)

    @cached_property
    def pair_values(self) -> PairValues:
        """The pair features with all that had happened."""
        return PairValues(self.pairs, pair_history(self.impressions, self.creatives, self.past))

    def pairs_of(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Pairs by rows of impressions and of creatives, int64 [n] -> their pair features, float32 [n, columns]."""
        history = self.pair_values.history
        shopper = places(self.impressions["shopper_id"], history.shoppers)
        subject = creative_codes(history.subjects, self.creatives, self.past)
        moment = microseconds(self.impressions["timestamp"])
        return self.pair_values.of(AskedPairs(shopper, moment, subject, row, column))

    def pairs_by_category(self, row: np.ndarray) -> pd.DataFrame:
        """Rows of impressions, int64 [n] -> pair features for any creative of each category, float32 (by_category)."""
        impressions = self.impressions.iloc[row]
        shopper = places(impressions["shopper_id"], self.pair_values.history.shoppers)
        return by_category(self.pair_values, shopper, microseconds(impressions["timestamp"]))

    def creatives_at(self, moment: pd.Timestamp) -> pd.DataFrame:
        """The creatives as an impression at `moment` sees them, in their order; what is known later is missing."""
        asked = np.repeat(microseconds(pd.Series([moment])), len(self.creatives))
        rows = self.versions.at(np.arange(len(self.creatives)), asked)
        return self.versions.table.iloc[rows].reset_index(drop=True)

    def judged(self) -> pd.DataFrame:
        """The impressions that no model has learned from and no choice was made on."""
        return self.of(JUDGE)

    def held_out(self) -> pd.DataFrame:
        """The impressions that no model has learned from: those that select, then those that judge."""
        return self.of(SELECT, JUDGE)

    def of(self, *splits: str) -> pd.DataFrame:
        """The impressions of these splits, in the log's order."""
        return self.impressions[self.impressions["split"].isin(splits)].reset_index(drop=True)


def build_features(model: FeatureModel, tables: Mapping[str, pd.DataFrame], config: FeaturesConfig) -> Features:
    """A data set's tables -> Features by a fitted model; `config` only says how long the readable profiles are.

    A shopper without consent keeps the rows, which evaluation weighs, but has no history: each looks like a newcomer's.
    """
    impressions = tables["impressions"]
    events = consented(tables.get("events"), tables) if model.behaviour.activity else None
    touched = touches_of(events, tables.get("products"), tables.get("images"), model.traits)
    moment = microseconds(impressions["timestamp"])
    asked = Asked(impressions["shopper_id"], impressions["campaign"], moment)
    past = model.behaviour.as_of(asked, events, touched, consented(impressions, tables))
    known = ~refused(impressions["shopper_id"], tables)
    blocks = [past, _shopper_columns(model, impressions, tables, known), model.context.encode(impressions)]
    columns = (*model.behaviour.columns, *model.shopper.columns, *model.context.columns)
    numbers = pd.DataFrame(side_by_side(blocks, len(impressions)), columns=list(columns))
    ids = impressions[list(COPIED)].reset_index(drop=True)
    labels = {"split": model.splits.of(impressions), "consent": known, "segment": _segments(model, past)}
    creatives, products, images = tables["creatives"], tables.get("products"), tables.get("images")
    current = creative_features(model, creatives, products, images)
    until = max(int(moment.max()), *(int(touches.moment.max()) for touches in touched if len(touches.moment)), 0) + 1
    return Features(
        impressions=pd.concat([ids.assign(**labels), numbers], axis=1),
        creatives=current,
        shopper_profiles=shopper_profiles(model, tables, touched, until, config.profile_terms),
        messages=model.messages,
        earlier=model.creative.earlier(current, creatives, things_shown(creatives, products)),
        pairs=model.pairs,
        past=pair_tables(model.pairs, tables),
    )


def pair_tables(pairs: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> PairTables | None:
    """What these pair features read beside the feature tables; None where they read no more."""
    if not reads_tables(pairs):
        return None
    features = [pair_feature(name) for name in pairs]
    events = products = None
    if any(feature.reads == "events" for feature in features):
        late = [name for name in ("ingested_at",) if name in tables["events"]]
        events = consented(tables["events"], tables)[[*EVENT_COLUMNS, *late]].reset_index(drop=True)
    if any(feature.by == CATEGORY for feature in features):
        products = tables["products"][["product_id", "category"]]
    return PairTables(events, products)


def reads_tables(pairs: Sequence[str]) -> bool:
    """Whether any of these pair features looks at events, or at the category of a product."""
    features = [pair_feature(name) for name in pairs]
    return any(feature.reads == "events" or feature.by == CATEGORY for feature in features)


def creative_features(
    model: FeatureModel, creatives: pd.DataFrame, products: pd.DataFrame | None, images: pd.DataFrame | None
) -> pd.DataFrame:
    """creatives [n], generated ones too -> creative_id, campaign, product_id, then the model's float32 columns."""
    shown = things_shown(creatives, products)
    traits = (*model.traits.of(shown, images), *headline_trait(creatives, model.traits))
    columns, numbers = model.creative.encode(creatives, shown, traits)
    ids = creatives[["creative_id", "campaign", "product_id"]].reset_index(drop=True)
    return pd.concat([ids, pd.DataFrame(numbers, columns=list(columns))], axis=1)


def _shopper_columns(
    model: FeatureModel, impressions: pd.DataFrame, tables: Mapping[str, pd.DataFrame], known: np.ndarray
) -> np.ndarray:
    """The shoppers table's open columns as of each impression, float32 [n, k]; zeros for who refused consent."""
    if not model.shopper.columns or "shoppers" not in tables:
        return np.zeros((len(impressions), len(model.shopper.columns)), dtype=np.float32)
    shoppers = tables["shoppers"]
    row = pd.Index(shoppers["shopper_id"]).get_indexer(pd.Index(impressions["shopper_id"]))
    seen = known_from(shoppers)[row] <= microseconds(impressions["timestamp"])  # bool [n]
    encoded = np.where(seen[:, None], model.shopper.encode(shoppers)[row], model.shopper.missing())
    return encoded * (known & (row >= 0))[:, None]


def _segments(model: FeatureModel, past: np.ndarray) -> np.ndarray:
    """past float32 [n, k] -> int64 [n]; 0 for all where there are no segments."""
    if model.segments is None:
        return np.zeros(len(past), dtype=np.int64)
    place = {column: number for number, column in enumerate(model.behaviour.columns)}
    tastes = model.behaviour.tastes
    averages = [past[:, [place[f"shopper_{column}"] for column in taste.columns]] for taste in tastes]
    return model.segments.assign(tastes, averages)
