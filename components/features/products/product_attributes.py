"""Vectors of product attributes that shoppers may prefer: category, brand, price band, title, look of the image."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, PriceBands
from components.features.products.text_space import TextSpace
from components.images import NetworkEncoder, PictureEncoder, decode, decode_all

MAX_SIDE = 64  # larger images are resized before they are encoded, which is enough for a look
MAX_PICTURES = 10_000  # more photos change the principal components by less than their rounding


@dataclass(frozen=True)
class AttributeVectors:
    """One attribute of n products. vectors: float64 [n, k]; known: bool [n], false for a product without it."""

    name: str
    columns: tuple[str, ...]
    vectors: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class ProductAttributes:
    """The fitted encoders of all attributes, so that new products and creatives get the same columns."""

    category: Levels
    brand: Levels
    bands: PriceBands
    price: Levels
    text: TextSpace | None
    look: PictureEncoder | NetworkEncoder | None

    def words(self, things: pd.DataFrame) -> tuple[AttributeVectors, ...]:
        """The attributes of products [n] with columns category, brand, price, title; null is unknown."""
        attributes = [
            _levels("category", self.category, things["category"]),
            _levels("brand", self.brand, things["brand"]),
            _levels("price", self.price, self.bands.name(things["price"])),
        ]
        if self.text is not None:
            vectors = self.text.embed(things["title"])
            attributes.append(
                AttributeVectors("title", numbered("title", vectors.shape[1]), vectors, vectors.any(axis=1))
            )
        return tuple(attribute for attribute in attributes if attribute.columns)

    def looks(self, image_id: pd.Series, images: pd.DataFrame | None) -> tuple[AttributeVectors, ...]:
        """The look of each image [n], decoded once per distinct image; empty without a fitted encoder."""
        if self.look is None:
            return ()
        width = self.look.dimensions
        vectors = np.zeros((len(image_id), width))
        known = np.zeros(len(image_id), dtype=bool)
        if images is not None:
            used = images[images["image_id"].isin(image_id.dropna())]
            height, breadth, channels = self.look.shape
            embedded = self.look.embed(decode_all(used, (height, breadth), channels))
            rows = pd.Index(used["image_id"]).get_indexer(pd.Index(image_id))
            known = rows >= 0
            vectors[known] = embedded[rows[known]]
        return (AttributeVectors("look", numbered("look", width), vectors, known),)

    def of(self, things: pd.DataFrame, images: pd.DataFrame | None) -> tuple[AttributeVectors, ...]:
        """All attributes of products [n] with columns category, brand, price, title, image_id."""
        return (*self.words(things), *self.looks(things["image_id"], images))


def fit_looks(
    images: pd.DataFrame | None, dimensions: int, seed: int, network: NetworkEncoder | None = None
) -> PictureEncoder | NetworkEncoder | None:
    """The encoder of looks, fitted on the training photos of `images`; None with fewer than two.

    network: used in place of `dimensions` principal components that are fitted here.
    """
    if images is None:
        return None
    photos = images[images["split"].fillna("train") != "test"] if "split" in images else images
    if len(photos) < 2:
        return None
    if network is not None:
        return network
    photos = photos.sort_values("image_id", kind="stable")
    if len(photos) > MAX_PICTURES:
        photos = photos.iloc[np.sort(np.random.default_rng(seed).choice(len(photos), MAX_PICTURES, replace=False))]
    shapes = np.array([decode(content).shape for content in photos["image"].iloc[:100]])
    height, width = np.minimum(np.median(shapes[:, :2], axis=0).astype(int), MAX_SIDE)
    return PictureEncoder.fit(decode_all(photos, (int(height), int(width)), int(shapes[:, 2].max())), dimensions)


def numbered(name: str, width: int) -> tuple[str, ...]:
    """Names of the coordinates of a dense vector, such as `look:00`."""
    return tuple(f"{name}:{number:02d}" for number in range(width))


def _levels(name: str, levels: Levels, values: pd.Series) -> AttributeVectors:
    codes = levels.codes(values)
    vectors = levels.encode(values).astype(np.float64)
    return AttributeVectors(name, tuple(f"{name}:{level}" for level in levels.levels), vectors, codes >= 0)
