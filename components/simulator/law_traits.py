"""The traits of creatives and products that the click law uses, from the tables `creatives`, `products`, `images`.

The simulation and the truth use the same function, so it reads only tables of a data set; a generated creative is
treated like any other. A missing or unknown value gets code -1, which has no effect.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.settings.errors import UserError
from components.simulator import vocabulary as words
from components.simulator.assortments import Assortment, headline_style
from components.simulator.photos.image_look import Look, canonical
from components.simulator.photos.product_photos import decode_grey


@dataclass(frozen=True)
class Traits:
    """One row per creative or product: codes int64 [m] (-1: none), `price` float64 [m] in sd of log price, `look`
    float64 [m, 4], `penalty` float64 [m] in [0, 3]. `subject` is the code by which exposures are counted for fatigue:
    that of the product, or of the creative itself without a product (then beyond the number of products)."""

    category: np.ndarray
    brand: np.ndarray
    price: np.ndarray
    look: np.ndarray
    penalty: np.ndarray
    product: np.ndarray
    template: np.ndarray
    headline: np.ndarray
    call: np.ndarray
    palette: np.ndarray
    subject: np.ndarray


def creative_traits(
    creatives: pd.DataFrame, products: pd.DataFrame, images: pd.DataFrame, look: Look, sells: Assortment
) -> Traits:
    """Traits of each row of `creatives`, with the creative's image, or else its product's."""
    product = _position(creatives["product_id"], products["product_id"])
    image_ids = creatives["image_id"].where(
        creatives["image_id"].notna(), _gather(products["image_id"].to_numpy(object), product, None)
    )
    category = codes(_gather(products["category"].to_numpy(object), product, None), sells.categories)
    image_category = _category_of(image_ids, images, sells)
    looks, penalty = _looks(image_ids, images, look)
    return Traits(
        category=np.where(category >= 0, category, image_category),
        brand=codes(_gather(products["brand"].to_numpy(object), product, None), sells.brands),
        price=_gather(_price(products, sells), product, 0.0).astype(np.float64),
        look=looks,
        penalty=penalty,
        product=product,
        template=codes(creatives["template"], words.TEMPLATES),
        headline=np.array([headline_style(value) for value in creatives["headline"]], np.int64),
        call=np.array([words.call_code(value) for value in creatives["call_to_action"]], np.int64),
        palette=codes(creatives["palette"], words.PALETTES),
        subject=np.where(product >= 0, product, len(products) + np.arange(len(creatives))),
    )


def product_traits(products: pd.DataFrame, images: pd.DataFrame, look: Look, sells: Assortment) -> Traits:
    """Traits of each row of `products`, for events: without template, headline, call to action or palette."""
    none = np.full(len(products), -1)
    looks, penalty = _looks(products["image_id"], images, look)
    return Traits(
        category=codes(products["category"], sells.categories),
        brand=codes(products["brand"], sells.brands),
        price=_price(products, sells),
        look=looks,
        penalty=penalty,
        product=np.arange(len(products)),
        template=none,
        headline=none,
        call=none,
        palette=none,
        subject=np.arange(len(products)),
    )


def codes(values, names: tuple[str, ...]) -> np.ndarray:
    """Position of each value in `names`, int64; -1 for null or an unknown value."""
    return pd.Index(names).get_indexer(pd.Index(values, dtype=object)).astype(np.int64)


def _position(ids: pd.Series, keys: pd.Series) -> np.ndarray:
    known = pd.Index(keys.to_numpy(object)).get_indexer(pd.Index(ids.to_numpy(object)))
    dangling = ids[(known < 0) & ids.notna().to_numpy()]
    if len(dangling):
        raise UserError(f"{ids.name}: {dangling.iloc[0]!r} is not in {keys.name}")
    return known.astype(np.int64)


def _gather(values: np.ndarray, position: np.ndarray, missing) -> np.ndarray:
    return np.append(values, missing)[position]


def _price(products: pd.DataFrame, sells: Assortment) -> np.ndarray:
    price = products["price"].to_numpy(np.float64)
    return np.where(np.isfinite(price), (np.log(np.maximum(price, 0.01)) - sells.log_price) / sells.price_spread, 0.0)


def _category_of(image_ids: pd.Series, images: pd.DataFrame, sells: Assortment) -> np.ndarray:
    used = images[images["image_id"].isin(set(image_ids.dropna()))]
    category = dict(zip(used["image_id"], codes(used["category"], sells.categories), strict=True))
    return np.array([category.get(image_id, -1) for image_id in image_ids], np.int64)


def _looks(image_ids: pd.Series, images: pd.DataFrame, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Look [m, 4] and penalty [m] of each row's image; a row without an image has the mean look and no penalty."""
    referenced = set(image_ids.dropna())
    used = images[images["image_id"].isin(referenced)]
    if missing := referenced - set(used["image_id"]):
        raise UserError(f"images: no image {min(missing)!r}, to which a creative or product refers")
    if used.empty:
        return np.zeros((len(image_ids), 4)), np.zeros(len(image_ids))
    pictures = [canonical(decode_grey(row.image, row.image_id)) for row in used.itertuples()]
    looks, penalty = look.project(np.stack(pictures))
    row_of = {image_id: row for row, image_id in enumerate(used["image_id"])}
    rows = np.array([row_of.get(image_id, -1) for image_id in image_ids], np.int64)
    return np.vstack([looks, np.zeros((1, looks.shape[1]))])[rows], np.append(penalty, 0.0)[rows]
