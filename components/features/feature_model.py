"""Tables -> FeatureModel: everything that features learn, from training time alone, pinned for later rebuilding."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.origins import photos_of
from components.features.categoricals import FreeColumns, Levels, PriceBands
from components.features.npz_records import from_npz, to_npz
from components.features.pairs import pair_feature
from components.features.pairs.pair_history import CATEGORY
from components.features.products.creative_features import CreativeColumns
from components.features.products.open_columns import known_by
from components.features.products.product_attributes import Traits, fit_looks
from components.features.products.text_space import TextSpace
from components.features.request_context import Context
from components.features.shoppers.segments import Segments
from components.features.shoppers.shopper_activity import Activity, Exposure
from components.features.shoppers.shopper_history import Asked, Behaviour, Touches, fit_tastes, touches_of
from components.features.time_splits import TRAIN, Splits
from components.features.timeline import microseconds
from components.images import NetworkEncoder
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig

FILE = "features.npz"
MOST_TEXTS = 50_000


@dataclass(frozen=True)
class FeatureModel:
    """How rows become features. Built again from new tables, it gives the columns that a promoted model knows."""

    splits: Splits
    context: Context
    traits: Traits
    creative: CreativeColumns
    behaviour: Behaviour
    shopper: FreeColumns
    segments: Segments | None
    pairs: tuple[str, ...]  # names of pair features
    messages: tuple[str, ...]

    @property
    def network(self) -> NetworkEncoder | None:
        """What embeds pictures, where it is a network."""
        return self.traits.look if isinstance(self.traits.look, NetworkEncoder) else None

    def files(self) -> dict[str, bytes]:
        """The model as {file name: bytes}, no pickle, equal models giving equal bytes."""
        return {FILE: to_npz(self)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "FeatureModel":
        """What `files` wrote -> model. Raises UserError where it is something else."""
        if FILE not in files:
            raise UserError(f"a feature model needs the file {FILE}, got {', '.join(sorted(files)) or 'none'}")
        return from_npz(cls, files[FILE])


def fit_features(
    tables: Mapping[str, pd.DataFrame],
    config: FeaturesConfig,
    ends_at: pd.Timestamp | None = None,
    encoder: NetworkEncoder | None = None,
) -> FeatureModel:
    """A data set's tables -> FeatureModel, learned from consenting shoppers before training ends.

    The log's time is cut by their impressions alone, too.
    What is not an outcome (a creative's words, a product's price) is read from the whole table; of the open columns
    only what is known as training ends (`features_from`). encoder: what embeds looks; None: principal components,
    fitted here.
    """
    impressions = tables["impressions"]
    consenting = _consenting(impressions, tables)
    splits = Splits.fit(consenting, config, ends_at)
    taught = consenting[splits.of(consenting) == TRAIN]
    products, images = tables.get("products"), tables.get("images")
    events = consented(tables.get("events"), tables) if config.shopper_history else None
    past = None if events is None else events[microseconds(events["timestamp"]) < splits.train_until]
    traits = _fit_traits(products, photos_of(tables), past, config, encoder)
    touched = touches_of(past, products, images, traits)
    behaviour = Behaviour(
        activity=None if past is None else Activity.fit(past, config.window_days),
        tastes=fit_tastes(touched),
        exposure=Exposure(tuple(sorted(config.window_days))) if config.shopper_history else None,
    )
    shoppers = tables.get("shoppers")
    return FeatureModel(
        splits=splits,
        context=Context.fit(taught, tables["campaigns"]),
        traits=traits,
        creative=CreativeColumns.fit(tables["creatives"], products, splits.train_until),
        behaviour=behaviour,
        shopper=FreeColumns.fit("shopper_", "feature_", known_by(_shopper_table(shoppers), splits.train_until)),
        segments=_fit_segments(behaviour, touched, splits, config),
        pairs=tuple(name for name in config.pairs if _lacking(name, tables, config) is None),
        messages=_switched_off(tables, traits, config),
    )


def consented(rows: pd.DataFrame | None, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Rows of shoppers who have not refused consent; the table itself where no `shoppers` table can say so."""
    if rows is None:
        return None
    return rows[~refused(rows["shopper_id"], tables)]


def _consenting(impressions: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = consented(impressions, tables)
    if rows.empty:
        raise UserError("shoppers: column consent: no shopper with an impression consents, so nothing can be learned")
    return rows


def refused(shopper_id: pd.Series, tables: Mapping[str, pd.DataFrame]) -> np.ndarray:
    """shopper ids [n] -> bool [n], true where the shopper's consent is false."""
    shoppers = tables.get("shoppers")
    if shoppers is None:
        return np.zeros(len(shopper_id), dtype=bool)
    return shopper_id.isin(shoppers.loc[~shoppers["consent"].astype(bool), "shopper_id"]).to_numpy()


def _shopper_table(shoppers: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if shoppers is None else shoppers[shoppers["consent"].astype(bool)]


def _fit_traits(
    products: pd.DataFrame | None,
    images: pd.DataFrame | None,
    past: pd.DataFrame | None,
    config: FeaturesConfig,
    encoder: NetworkEncoder | None,
) -> Traits:
    nothing = pd.Series(dtype="str")
    texts = [] if products is None else [products["title"].dropna()]
    if past is not None:
        texts.append(past["text"].dropna().value_counts().index[:MOST_TEXTS].to_series())
    bands = PriceBands.fit(products["price"] if products is not None else nothing)
    return Traits(
        category=Levels.fit("category", products["category"] if products is not None else nothing),
        brand=Levels.fit("brand", products["brand"] if products is not None else nothing, most=40),
        bands=bands,
        price=Levels("price", tuple(f"band{number}" for number in range(1, len(bands.edges) + 2))),
        text=TextSpace.fit((str(text) for column in texts for text in column), config.text_dimensions, config.seed),
        look=fit_looks(images, config.image_dimensions, config.seed, encoder),
    )


def _fit_segments(
    behaviour: Behaviour, touched: tuple[Touches, ...], splits: Splits, config: FeaturesConfig
) -> Segments | None:
    """Each shopper's tastes as training ended -> segments; None where nobody has touched anything."""
    seen = [touches.shoppers for touches in touched]
    if not seen or not any(len(ids) for ids in seen):
        return None
    shoppers = pd.Series(sorted(set(pd.concat(seen))), dtype="str")
    asked = Asked(shoppers, shoppers, np.full(len(shoppers), splits.train_until))
    averages, _ = behaviour.averages(asked, touched)
    return Segments.fit(behaviour.tastes, averages, config.segments, config.seed)


def _lacking(pair: str, tables: Mapping[str, pd.DataFrame], config: FeaturesConfig) -> str | None:
    """What keeps this data set from having the pair feature; None: nothing."""
    feature = pair_feature(pair)
    if not config.shopper_history:
        return "features.shopper_history is false"
    wanted = {feature.reads, *(("products",) if feature.by == CATEGORY else ())}
    missing = [name for name in sorted(wanted) if name not in tables]
    return f"no table {' and no table '.join(missing)}" if missing else None


def _switched_off(tables: Mapping[str, pd.DataFrame], traits: Traits, config: FeaturesConfig) -> tuple[str, ...]:
    """One sentence per thing that this data set cannot have."""
    off: list[str] = []
    if not config.shopper_history:
        off.append("features.shopper_history is false (shopper_id is no person): no history, fatigue or segments")
    elif "events" not in tables:
        off.append("no table events: no recency, frequency, tastes, search terms or segments")
    if "products" not in tables:
        off.append("no table products: creatives have no category, brand, price or title")
    if traits.look is None:
        off.append("no table images (or fewer than 2 pictures): no looks of creatives or of what shoppers touch")
    if traits.text is None:
        off.append("no titles and no searches: no text features")
    if config.shopper_history:
        lacking = {name: _lacking(name, tables, config) for name in config.pairs}
        off.extend(f"{why}: no pair feature {name}" for name, why in lacking.items() if why)
    if "shoppers" not in tables:
        off.append("no table shoppers: every shopper counts as consenting, none has columns of their own")
    return tuple(off)
