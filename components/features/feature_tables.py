"""The features of every impression and creative, as of each impression's time, computed by a feature model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from components.features.feature_model import FeatureModel, consenting_rows, known_events, refused_consent
from components.features.pairs import pair_feature
from components.features.pairs.pair_history import CATEGORY, EVENT_COLUMNS, PairTables, creative_codes, pair_history
from components.features.pairs.pair_values import PairQuery, PairValues, values_by_category
from components.features.products.creative_features import advertised_products, headline_attributes
from components.features.products.looks import Looks, looks_of
from components.features.products.open_columns import Versions, known_from
from components.features.shoppers.shopper_blocks import shopper_blocks
from components.features.shoppers.shopper_history import HistoryQuery, attribute_events
from components.features.shoppers.shopper_profiles import joined_profiles, shopper_profiles
from components.features.time_splits import JUDGE, SELECT
from components.features.timeline import microseconds, positions
from components.settings.sections import FeaturesConfig

COPIED = ("impression_id", "shopper_id", "campaign", "creative_id", "timestamp", "click", "position")


@dataclass(frozen=True)
class Features:
    """The feature tables, input of the later stages.

    impressions: ids, outcome, `split` (train, calibrate, select, judge), `consent`, `segment`, then float32 columns
    `shopper_*` and `context_*`. creatives: ids, then float32 columns `creative_*`, as known at the log's end.
    shopper_profiles: for people. messages: a sentence for each kind of feature that is missing. earlier: versions of
    rows of `creatives` for impressions before their `known_until`; None or no rows: there are none. pairs: names of
    pair features; past: further tables that they read, None if they need none. looks: of the images that products and
    creatives name.
    """

    impressions: pd.DataFrame
    creatives: pd.DataFrame
    shopper_profiles: pd.DataFrame
    messages: tuple[str, ...] = ()
    earlier: pd.DataFrame | None = None
    pairs: tuple[str, ...] = ()
    past: PairTables | None = None
    looks: Looks = field(default_factory=Looks.none)

    @property
    def segments(self) -> int:
        """Number of shopper segments."""
        return int(self.impressions.loc[self.impressions["consent"], "segment"].max()) + 1

    @cached_property
    def versions(self) -> Versions:
        """The rows of `creatives` with their earlier versions."""
        return Versions.of(self.creatives, self.earlier)

    @cached_property
    def pair_values(self) -> PairValues:
        """The pair features and their history."""
        return PairValues(self.pairs, pair_history(self.impressions, self.creatives, self.past))

    def pairs_of(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The pair features float32 [n, columns] of pairs, given by rows of impressions and creatives, int64 [n]."""
        return self.pair_values.of(PairQuery(*self._codes, row, column))

    @cached_property
    def _codes(self) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]:
        """What pair features read of all impressions and creatives: the first three fields of a PairQuery."""
        history = self.pair_values.history
        shopper = positions(self.impressions["shopper_id"], history.shoppers)
        subject = creative_codes(history.subjects, self.creatives, self.past)
        return shopper, microseconds(self.impressions["timestamp"]), subject

    def pairs_by_category(self, row: np.ndarray) -> pd.DataFrame:
        """The pair features of impressions, rows int64 [n], with any creative of each category (values_by_category)."""
        impressions = self.impressions.iloc[row]
        shopper = positions(impressions["shopper_id"], self.pair_values.history.shoppers)
        return values_by_category(self.pair_values, shopper, microseconds(impressions["timestamp"]))

    def creatives_at(self, moment: pd.Timestamp) -> pd.DataFrame:
        """The rows of `creatives` as known at `moment`, in their order; later open columns are missing."""
        query = np.repeat(microseconds(pd.Series([moment])), len(self.creatives))
        rows = self.versions.at(np.arange(len(self.creatives)), query)
        return self.versions.table.iloc[rows].reset_index(drop=True)

    def judged(self) -> pd.DataFrame:
        """The impressions of `judge`, on which no model was trained and no choice was made."""
        return self.of(JUDGE)

    def held_out(self) -> pd.DataFrame:
        """The impressions of `select` and `judge`, on which no model was trained."""
        return self.of(SELECT, JUDGE)

    def rows_of(self, *splits: str) -> np.ndarray:
        """The rows of `impressions` in these splits, int64, ascending."""
        return np.flatnonzero(self.impressions["split"].isin(splits))

    def of(self, *splits: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The impressions of these splits, in the log's order; columns: which; None: all."""
        impressions = self.impressions if columns is None else self.impressions[list(columns)]
        return impressions.iloc[self.rows_of(*splits)].reset_index(drop=True)


def build_features(
    model: FeatureModel, tables: Mapping[str, pd.DataFrame], config: FeaturesConfig, looks: Looks | None = None
) -> Features:
    """The features of a data set's tables by a fitted model; `config` only gives the length of the profiles.

    looks: of the images that products and creatives name; None: they are decoded and embedded here.
    The rows of a shopper without consent stay, since evaluation needs them, but have the features of a new shopper.
    """
    impressions = tables["impressions"]
    looks = looks_of(model.traits.look, tables) if looks is None else looks
    # a column is contiguous, so that tables and files share this memory
    numbers = np.empty((len(model.impression_columns), len(impressions)), dtype=np.float32).T
    past, others = np.split(numbers, [len(model.behaviour.columns)], axis=1)
    profiles = _fill_history(past, model, tables, looks, config)
    known = ~refused_consent(impressions["shopper_id"], tables)
    shopper, context = np.split(others, [len(model.shopper.columns)], axis=1)
    shopper[:] = _shopper_columns(model, impressions, tables, known)
    context[:] = model.context.encode(impressions)
    ids = impressions[list(COPIED)].reset_index(drop=True)
    labels = {"split": model.splits.of(impressions), "consent": known, "segment": segments_of(model, past)}
    creatives, products = tables["creatives"], tables.get("products")
    current = creative_features(model, creatives, products, looks)
    features = pd.DataFrame(numbers, columns=list(model.impression_columns), copy=False)
    return Features(
        impressions=pd.concat([ids.assign(**labels), features], axis=1),
        creatives=current,
        shopper_profiles=profiles,
        messages=model.messages,
        earlier=model.creative.earlier(current, creatives, advertised_products(creatives, products)),
        pairs=model.pairs,
        past=pair_tables(model.pairs, tables),
        looks=looks,
    )


def _fill_history(
    past: np.ndarray, model: FeatureModel, tables: Mapping[str, pd.DataFrame], looks: Looks, config: FeaturesConfig
) -> pd.DataFrame:
    """The shopper profiles; fills `past`, float32 [n, k], with the shoppers' history as of each impression.

    The history of a block of shoppers is in memory at a time.
    """
    impressions = tables["impressions"][["shopper_id", "campaign", "timestamp", "click"]]
    events = known_events(tables) if model.behaviour.activity else None
    moment, consenting = microseconds(impressions["timestamp"]), ~refused_consent(impressions["shopper_id"], tables)
    last = 0 if events is None or events.empty else int(microseconds(events["timestamp"]).max())
    until = max(int(moment.max()), last) + 1
    profiles = []
    for block in shopper_blocks(events, impressions["shopper_id"]):
        rows = impressions.iloc[block.rows]
        by_attribute = attribute_events(block.events, tables.get("products"), looks, model.traits)
        query = HistoryQuery(rows["shopper_id"], rows["campaign"], moment[block.rows])
        past[block.rows] = model.behaviour.as_of(query, block.events, by_attribute, rows[consenting[block.rows]])
        profiles.append(shopper_profiles(model, block.events, by_attribute, until, config.profile_terms))
    return joined_profiles(profiles)


def pair_tables(pairs: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> PairTables | None:
    """The tables that these pair features read in addition to the feature tables; None if they need none."""
    if not reads_tables(pairs):
        return None
    features = [pair_feature(name) for name in pairs]
    events = products = None
    if any(feature.reads == "events" for feature in features):
        optional = [name for name in ("ingested_at",) if name in tables["events"]]
        events = consenting_rows(tables["events"], tables)[[*EVENT_COLUMNS, *optional]].reset_index(drop=True)
    if any(feature.by == CATEGORY for feature in features):
        products = tables["products"][["product_id", "category"]]
    return PairTables(events, products)


def reads_tables(pairs: Sequence[str]) -> bool:
    """Whether any of these pair features reads events or the categories of products."""
    features = [pair_feature(name) for name in pairs]
    return any(feature.reads == "events" or feature.by == CATEGORY for feature in features)


def creative_features(
    model: FeatureModel, creatives: pd.DataFrame, products: pd.DataFrame | None, looks: Looks
) -> pd.DataFrame:
    """Columns creative_id, campaign, product_id and the model's float32 columns of creatives [n]."""
    shown = advertised_products(creatives, products)
    traits = (*model.traits.of(shown, looks), *headline_attributes(creatives, model.traits))
    columns, numbers = model.creative.encode(creatives, shown, traits)
    ids = creatives[["creative_id", "campaign", "product_id"]].reset_index(drop=True)
    return pd.concat([ids, pd.DataFrame(numbers, columns=list(columns))], axis=1)


def _shopper_columns(
    model: FeatureModel, impressions: pd.DataFrame, tables: Mapping[str, pd.DataFrame], known: np.ndarray
) -> np.ndarray:
    """The open columns of shoppers as of each impression, float32 [n, k]; zeros for shoppers who refused consent."""
    if not model.shopper.columns or "shoppers" not in tables:
        return np.zeros((len(impressions), len(model.shopper.columns)), dtype=np.float32)
    shoppers = tables["shoppers"]
    row = pd.Index(shoppers["shopper_id"]).get_indexer(pd.Index(impressions["shopper_id"]))
    is_known = known_from(shoppers)[row] <= microseconds(impressions["timestamp"])  # bool [n]
    encoded = np.where(is_known[:, None], model.shopper.encode(shoppers)[row], model.shopper.missing())
    return encoded * (known & (row >= 0))[:, None]


def segments_of(model: FeatureModel, past: np.ndarray) -> np.ndarray:
    """The segment int64 [n] of each row of shopper features `past` float32 [n, k]; 0 without segments."""
    if model.segments is None:
        return np.zeros(len(past), dtype=np.int64)
    place = {column: number for number, column in enumerate(model.behaviour.columns)}
    tastes = model.behaviour.tastes
    averages = [past[:, [place[f"shopper_{column}"] for column in taste.columns]] for taste in tastes]
    return model.segments.assign(tastes, averages)
