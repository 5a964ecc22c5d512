"""The feature model: everything that features learn from training time, stored so that they can be built again."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.origins import photos_of
from components.features.categoricals import Levels, OpenColumns, PriceBands
from components.features.npz_records import from_npz, to_npz
from components.features.pairs import pair_feature
from components.features.pairs.pair_history import CATEGORY, known_moments
from components.features.products.creative_features import CreativeColumns
from components.features.products.looks import Looks, fit_encoder, looks_of
from components.features.products.open_columns import rows_known_at
from components.features.products.product_attributes import LogPrice, ProductAttributes, writing_system
from components.features.products.text_space import TextSpace
from components.features.request_context import Context
from components.features.shoppers.segments import Segments
from components.features.shoppers.shopper_activity import Activity, Exposure
from components.features.shoppers.shopper_history import (
    AttributeEvents,
    HistoryQuery,
    ShopperHistory,
    attribute_events,
    fit_tastes,
)
from components.features.time_splits import TRAIN, Splits
from components.features.timeline import microseconds
from components.images import NetworkEncoder, PictureEncoder
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig

FEATURES_FILE = "features.npz"
MAX_TEXTS = 50_000


@dataclass(frozen=True)
class FeatureModel:
    """The fitted parts of all features. From new tables it gives the same columns that a promoted model was trained on.

    The names of the fields are part of the stored file, so renaming one breaks packages of earlier releases.
    """

    splits: Splits
    context: Context
    traits: ProductAttributes
    creative: CreativeColumns
    behaviour: ShopperHistory
    shopper: OpenColumns
    segments: Segments | None
    pairs: tuple[str, ...]  # names of pair features
    messages: tuple[str, ...]

    @property
    def impression_columns(self) -> tuple[str, ...]:
        """Names of an impression's float32 columns, `shopper_*` and `context_*`, in the order of `build_features`."""
        return (*self.behaviour.columns, *self.shopper.columns, *self.context.columns)

    @property
    def network(self) -> NetworkEncoder | None:
        """The encoder of images if it is a network, else None."""
        return self.traits.look if isinstance(self.traits.look, NetworkEncoder) else None

    def files(self) -> dict[str, bytes]:
        """File name -> bytes, without pickles; equal models give equal bytes."""
        return {FEATURES_FILE: to_npz(self)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "FeatureModel":
        """The model that `files` wrote; UserError for other bytes."""
        if FEATURES_FILE not in files:
            raise UserError(f"a feature model needs the file {FEATURES_FILE}, got {', '.join(sorted(files)) or 'none'}")
        return from_npz(cls, files[FEATURES_FILE])


def fit_features(
    tables: Mapping[str, pd.DataFrame],
    config: FeaturesConfig,
    ends_at: pd.Timestamp | None = None,
    encoder: NetworkEncoder | None = None,
) -> FeatureModel:
    """The feature model of a data set, fitted on consenting shoppers and on time before training ends."""
    return fit_with_looks(tables, config, ends_at, encoder)[0]


def fit_with_looks(
    tables: Mapping[str, pd.DataFrame],
    config: FeaturesConfig,
    ends_at: pd.Timestamp | None = None,
    encoder: NetworkEncoder | None = None,
) -> tuple[FeatureModel, Looks]:
    """The feature model, and the looks of the images that products and creatives name, for `build_features`.

    The log is split by the impressions of consenting shoppers, too. Columns that are not outcomes (a creative's texts,
    a product's price) are read from the whole tables; open columns only if known when training ends (`features_from`).
    encoder: of images; None: principal components, fitted here.
    """
    impressions = tables["impressions"]
    consenting = _consenting(impressions, tables)
    splits = Splits.fit(consenting, config, ends_at)
    training = consenting[splits.of(consenting) == TRAIN]
    products = tables.get("products")
    events = known_events(tables) if config.shopper_history else None
    past = None if events is None else events[microseconds(events["timestamp"]) < splits.train_until]
    look, known = fit_encoder(photos_of(tables), config.image_dimensions, config.seed, encoder)
    traits, looks = _fit_traits(products, past, config, look), looks_of(look, tables, known)
    events_by_attribute = attribute_events(past, products, looks, traits)
    behaviour = ShopperHistory(
        activity=None if past is None else Activity.fit(past, config.window_days),
        tastes=fit_tastes(events_by_attribute),
        exposure=Exposure(tuple(sorted(config.window_days))) if config.shopper_history else None,
    )
    shoppers = tables.get("shoppers")
    model = FeatureModel(
        splits=splits,
        context=Context.fit(training, tables["campaigns"]),
        traits=traits,
        creative=CreativeColumns.fit(tables["creatives"], products, splits.train_until),
        behaviour=behaviour,
        shopper=OpenColumns.fit("shopper_", "feature_", rows_known_at(_shopper_table(shoppers), splits.train_until)),
        segments=_fit_segments(behaviour, events_by_attribute, splits, config),
        pairs=tuple(name for name in config.pairs if _missing_for(name, tables, config) is None),
        messages=_messages(tables, traits, config),
    )
    return model, looks


def consenting_rows(rows: pd.DataFrame | None, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Rows of shoppers who have not refused consent; all rows without a table `shoppers`; None for None."""
    if rows is None:
        return None
    return rows[~refused_consent(rows["shopper_id"], tables)]


def known_events(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The events of shoppers who have not refused consent, at the times from which they are known; None without any."""
    events = consenting_rows(tables.get("events"), tables)
    if events is None or "ingested_at" not in events or events["ingested_at"].isna().all():
        return events
    known = pd.to_datetime(known_moments(events), unit="us", utc=True).astype("datetime64[us, UTC]")
    return events.assign(timestamp=known)


def _consenting(impressions: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = consenting_rows(impressions, tables)
    if rows.empty:
        raise UserError("shoppers: column consent: no shopper with an impression consents, so nothing can be learned")
    return rows


def refused_consent(shopper_id: pd.Series, tables: Mapping[str, pd.DataFrame]) -> np.ndarray:
    """bool [n], true for shoppers whose consent is false."""
    shoppers = tables.get("shoppers")
    if shoppers is None:
        return np.zeros(len(shopper_id), dtype=bool)
    return shopper_id.isin(shoppers.loc[~shoppers["consent"].astype(bool), "shopper_id"]).to_numpy()


def _shopper_table(shoppers: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if shoppers is None else shoppers[shoppers["consent"].astype(bool)]


def _fit_traits(
    products: pd.DataFrame | None,
    past: pd.DataFrame | None,
    config: FeaturesConfig,
    look: PictureEncoder | NetworkEncoder | None,
) -> ProductAttributes:
    empty = pd.Series(dtype="str")
    texts = [] if products is None else [products["title"].dropna()]
    if past is not None:
        codes, distinct = pd.factorize(past["text"])
        often = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(distinct)), kind="stable")[:MAX_TEXTS]
        texts.append(pd.Series(distinct[often]))
    bands = PriceBands.fit(products["price"] if products is not None else empty)
    return ProductAttributes(
        category=Levels.fit("category", products["category"] if products is not None else empty),
        brand=Levels.fit("brand", products["brand"] if products is not None else empty, most=40),
        bands=bands,
        price=Levels("price", tuple(f"band{number}" for number in range(1, len(bands.edges) + 2))),
        text=TextSpace.fit((str(text) for column in texts for text in column), config.text_dimensions, config.seed),
        look=look,
        log_price=LogPrice.fit(products["price"] if products is not None else pd.Series(dtype="float64")),
        writing=() if products is None else tuple(sorted({writing_system(title) for title in products["title"]})),
    )


def _fit_segments(
    behaviour: ShopperHistory, events_by_attribute: tuple[AttributeEvents, ...], splits: Splits, config: FeaturesConfig
) -> Segments | None:
    """Segments of shoppers by their tastes at the end of training; None without events."""
    active = [attribute.shoppers for attribute in events_by_attribute]
    if not active or not any(len(ids) for ids in active):
        return None
    shoppers = pd.Series(sorted(set(pd.concat(active))), dtype="str")
    query = HistoryQuery(shoppers, shoppers, np.full(len(shoppers), splits.train_until))
    estimates, _ = behaviour.tastes_of(query, events_by_attribute)
    return Segments.fit(behaviour.tastes, estimates, config.segments, config.seed)


def _missing_for(pair: str, tables: Mapping[str, pd.DataFrame], config: FeaturesConfig) -> str | None:
    """Why this data set cannot have the pair feature `pair`; None if it can."""
    feature = pair_feature(pair)
    if not config.shopper_history:
        return "features.shopper_history is false"
    required = {feature.reads, *(("products",) if feature.by == CATEGORY else ())}
    missing = [name for name in sorted(required) if name not in tables]
    return f"no table {' and no table '.join(missing)}" if missing else None


def _messages(tables: Mapping[str, pd.DataFrame], traits: ProductAttributes, config: FeaturesConfig) -> tuple[str, ...]:
    """One sentence for each kind of feature that this data set cannot have."""
    messages: list[str] = []
    if not config.shopper_history:
        messages.append("features.shopper_history is false (shopper_id is no person): no history, fatigue or segments")
    elif "events" not in tables:
        messages.append("no table events: no recency, frequency, tastes, search terms or segments")
    if "products" not in tables:
        messages.append("no table products: creatives have no category, brand, price or title")
    if traits.look is None:
        messages.append("no table images (or fewer than 2 pictures): no looks of creatives or of what shoppers touch")
    if traits.text is None:
        messages.append("no titles and no searches: no text features")
    if config.shopper_history:
        missing = {name: _missing_for(name, tables, config) for name in config.pairs}
        messages.extend(f"{why}: no pair feature {name}" for name, why in missing.items() if why)
    if "shoppers" not in tables:
        messages.append("no table shoppers: every shopper counts as consenting, none has columns of their own")
    return tuple(messages)
