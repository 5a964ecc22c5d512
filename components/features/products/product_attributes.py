"""Vectors of product attributes that shoppers may prefer: category, brand, price, title, look of the image."""

import unicodedata
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
class Groups:
    """The group of each of n products: code int32 [n] in [0, count)."""

    code: np.ndarray
    count: int

    @classmethod
    def one(cls, size: int) -> "Groups":
        """All of them in one group."""
        return cls(np.zeros(size, dtype=np.int32), 1)


@dataclass(frozen=True)
class LogPrice:
    """Logarithm of the price, standardised by the mean and deviation over all products; not for a price of 0."""

    log_mean: float
    log_deviation: float

    @classmethod
    def fit(cls, price: pd.Series) -> "LogPrice | None":
        """None if fewer than two different prices above 0 are known."""
        known = price.dropna().astype(np.float64)
        logs = np.log(known[known > 0])
        if logs.nunique() < 2:
            return None
        return cls(round(float(logs.mean()), 9), round(float(logs.std(ddof=0)), 9))

    def of(self, price: pd.Series) -> "AttributeVectors":
        """The attribute `log_price` of prices [n], one column; unknown for null and 0."""
        prices = price.astype(np.float64).fillna(0.0).to_numpy()
        known = prices > 0
        logs = np.log(np.where(known, prices, 1.0))
        vectors = np.where(known, (logs - self.log_mean) / self.log_deviation, 0.0)
        return AttributeVectors("log_price", numbered("log_price", 1), vectors[:, None], known)


@dataclass(frozen=True)
class ProductAttributes:
    """The fitted encoders of all attributes, so that new products and creatives get the same columns.

    writing: the writing systems of titles. log_price, writing: None and empty in packages of release 0.1.
    """

    category: Levels
    brand: Levels
    bands: PriceBands
    price: Levels
    text: TextSpace | None
    look: PictureEncoder | NetworkEncoder | None
    log_price: LogPrice | None = None
    writing: tuple[str, ...] = ()

    def words(self, things: pd.DataFrame) -> tuple[AttributeVectors, ...]:
        """The attributes of products [n] with columns category, brand, price, title; null is unknown."""
        attributes = [
            _levels("category", self.category, things["category"]),
            _levels("brand", self.brand, things["brand"]),
            _levels("price", self.price, self.bands.name(things["price"])),
        ]
        if self.log_price is not None:
            attributes.append(self.log_price.of(things["price"]))
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

    def languages_of(self, products: pd.DataFrame) -> Groups:
        """The language of each product, by its title's writing system; unknown ones are a group of their own."""
        systems = pd.Index(self.writing).get_indexer(pd.Index([writing_system(title) for title in products["title"]]))
        return Groups(np.where(systems < 0, len(self.writing), systems).astype(np.int32), len(self.writing) + 1)

    def markets_of(self, products: pd.DataFrame) -> Groups:
        """The category and language of each product: those with which it competes for a shopper's attention."""
        language, levels = self.languages_of(products), len(self.category.levels) + 1
        category = self.category.codes(products["category"])
        category = np.where(category < 0, levels - 1, category)
        return Groups((language.code * levels + category).astype(np.int32), language.count * levels)


def writing_system(text: object) -> str:
    """The writing system of a text: LATIN, CJK, CYRILLIC and so on, by Unicode's names; empty without letters or for
    null.

    The first letter that is not Latin decides, since titles in any language may have brands in Latin letters.
    """
    found = ""
    for character in text if isinstance(text, str) else "":
        if character.isalpha():
            found = unicodedata.name(character, "OTHER").split()[0] if not character.isascii() else "LATIN"
            if found in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"):
                return "CJK"
            if found != "LATIN":
                return found
    return found


def _levels(name: str, levels: Levels, values: pd.Series) -> AttributeVectors:
    codes = levels.codes(values)
    vectors = levels.encode(values).astype(np.float64)
    return AttributeVectors(name, tuple(f"{name}:{level}" for level in levels.levels), vectors, codes >= 0)
