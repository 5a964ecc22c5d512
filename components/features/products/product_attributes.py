"""Vectors of product attributes that shoppers may prefer: category, brand, price band, title, look of the image."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, PriceBands
from components.features.products.looks import LOOK, Looks, numbered
from components.features.products.text_space import TextSpace
from components.images import NetworkEncoder, PictureEncoder


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

    def looks(self, image_id: pd.Series, looks: Looks) -> tuple[AttributeVectors, ...]:
        """The look of each image [n]; empty without a fitted encoder."""
        if self.look is None:
            return ()
        width = self.look.dimensions
        return (AttributeVectors(LOOK, numbered(LOOK, width), *looks.of(image_id, width)),)

    def of(self, things: pd.DataFrame, looks: Looks) -> tuple[AttributeVectors, ...]:
        """All attributes of products [n] with columns category, brand, price, title, image_id."""
        return (*self.words(things), *self.looks(things["image_id"], looks))


def _levels(name: str, levels: Levels, values: pd.Series) -> AttributeVectors:
    codes = levels.codes(values)
    vectors = levels.encode(values).astype(np.float64)
    return AttributeVectors(name, tuple(f"{name}:{level}" for level in levels.levels), vectors, codes >= 0)
