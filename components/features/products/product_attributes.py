"""Products -> what can be liked about them: category, brand, price band, title, look."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, PriceBands
from components.features.products.text_space import TextSpace
from components.images import NetworkEncoder, PictureEncoder, decode, decode_all

MOST_SIDE = 64  # larger pictures are shrunk before they are encoded: a look needs no more
MOST_PICTURES = 10_000  # more photos move the principal components by less than their own rounding


@dataclass(frozen=True)
class Trait:
    """One trait of n things. vectors: float64 [n, k]; known: bool [n], false where the thing does not have it."""

    name: str
    columns: tuple[str, ...]
    vectors: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Traits:
    """How each trait is read; pinned, so that a new product or creative gets the same columns."""

    category: Levels
    brand: Levels
    bands: PriceBands
    price: Levels
    text: TextSpace | None
    look: PictureEncoder | NetworkEncoder | None

    def words(self, things: pd.DataFrame) -> tuple[Trait, ...]:
        """things [n] with category, brand, price, title -> their traits; a null is an unknown trait."""
        found = [
            _levels("category", self.category, things["category"]),
            _levels("brand", self.brand, things["brand"]),
            _levels("price", self.price, self.bands.name(things["price"])),
        ]
        if self.text is not None:
            vectors = self.text.embed(things["title"])
            found.append(Trait("title", numbered("title", vectors.shape[1]), vectors, vectors.any(axis=1)))
        return tuple(trait for trait in found if trait.columns)

    def looks(self, image_id: pd.Series, images: pd.DataFrame | None) -> tuple[Trait, ...]:
        """image ids [n] -> the look of each, decoded once per distinct image; empty where no encoder was fitted."""
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
        return (Trait("look", numbered("look", width), vectors, known),)

    def of(self, things: pd.DataFrame, images: pd.DataFrame | None) -> tuple[Trait, ...]:
        """things [n] with category, brand, price, title, image_id -> all their traits."""
        return (*self.words(things), *self.looks(things["image_id"], images))


def fit_looks(
    images: pd.DataFrame | None, dimensions: int, seed: int, network: NetworkEncoder | None = None
) -> PictureEncoder | NetworkEncoder | None:
    """The training photos of `images` -> encoder of looks; None without pictures enough.

    network: what embeds them instead of `dimensions` principal components fitted here.
    """
    if images is None:
        return None
    kept = images[images["split"].fillna("train") != "test"] if "split" in images else images
    if len(kept) < 2:
        return None
    if network is not None:
        return network
    kept = kept.sort_values("image_id", kind="stable")
    if len(kept) > MOST_PICTURES:
        kept = kept.iloc[np.sort(np.random.default_rng(seed).choice(len(kept), MOST_PICTURES, replace=False))]
    shapes = np.array([decode(content).shape for content in kept["image"].iloc[:100]])
    height, width = np.minimum(np.median(shapes[:, :2], axis=0).astype(int), MOST_SIDE)
    return PictureEncoder.fit(decode_all(kept, (int(height), int(width)), int(shapes[:, 2].max())), dimensions)


def numbered(name: str, width: int) -> tuple[str, ...]:
    """Names of a dense vector's coordinates, `look:00` and up."""
    return tuple(f"{name}:{number:02d}" for number in range(width))


def _levels(name: str, levels: Levels, values: pd.Series) -> Trait:
    codes = levels.codes(values)
    vectors = levels.encode(values).astype(np.float64)
    return Trait(name, tuple(f"{name}:{level}" for level in levels.levels), vectors, codes >= 0)
