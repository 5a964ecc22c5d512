"""The training photos of the generators, with their categories and weights of shopper segments."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from components.contract.origins import photos_of
from components.features import Features
from components.features.shoppers import image_segments
from components.generators.photos.photo_attributes import Scales, measure, traits
from components.images import decode_all, header
from components.settings.errors import UserError

MIN_SIDE, MAX_SIDE = 8, 64  # pixels; smaller images have no shape to learn, larger ones take too long on two cores
MIN_PER_CATEGORY = 20  # photos; a category with fewer is left out, since a generator would copy them
MIN_TEST = 20  # photos, of which half measure the quality of the other half
PLACEHOLDER = 5  # an image that so many rows share is a shop's placeholder for a missing photo


class NoNewPictures(UserError):
    """No new images can be made from a data set, for the reason in the message; a run continues without them."""


@dataclass(frozen=True)
class Photos:
    """Training photos of `n` products.

    pictures: uint8 [n, h, w, c]; category: int32 [n], codes into `categories`;
    segment_weights: float32 [n, segments + 1], rows sum to 1: shares of the shopper segments in the product's events;
    the last column ("unknown") is 1 for products without events.
    """

    pictures: np.ndarray
    category: np.ndarray
    categories: tuple[str, ...]
    segment_weights: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every photo."""
        return tuple(int(side) for side in self.pictures.shape[1:])

    @cached_property
    def traits(self) -> np.ndarray:
        """Tone and build of each photo, int32 [n, 2]: LOW, HIGH or BETWEEN."""
        return traits(self.scales, *self._measured, self.category)

    @cached_property
    def scales(self) -> Scales:
        """What counts as dark, light, slim and wide within each category."""
        return Scales.of_measures(*self._measured, self.category, len(self.categories))

    @cached_property
    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        return measure(self.pictures)

    @property
    def segments(self) -> int:
        """Number of known segments; the code `segments` itself means unknown."""
        return self.segment_weights.shape[1] - 1

    def take(self, rows: np.ndarray) -> "Photos":
        """The photos at `rows` (indices or mask)."""
        return Photos(self.pictures[rows], self.category[rows], self.categories, self.segment_weights[rows])

    def some(self, count: int, seed: int = 0) -> "Photos":
        """`count` random photos, or all if there are fewer; if possible at least MIN_PER_CATEGORY of each category.

        Random, since the first rows of a table sorted by category have few categories.
        """
        if count >= len(self.category):
            return self
        order = np.random.default_rng(seed).permutation(len(self.category))
        place = pd.Series(self.category[order]).groupby(self.category[order]).cumcount().to_numpy()
        return self.take(order[np.argsort(place >= MIN_PER_CATEGORY, kind="stable")][:count])


def read_photos(
    images: pd.DataFrame,
    segments: int,
    size: int | None = None,
    segment_shares: pd.DataFrame | None = None,
    *,
    split: str | None = "train",
    categories: tuple[str, ...] | None = None,
) -> tuple[Photos, tuple[str, ...]]:
    """The photos in the table `images`, and remarks on those that were left out.

    segment_shares: index image_id, one column per segment 0..segments-1, non-negative; images without a row, or with a
    row of zeros, are of unknown segment. size: side in pixels to which photos are resized (None: their median side, at
    most 64). Photos are grey only if all are grey. split: None: all. categories: fixes the codes, for a second split.
    """
    chosen = images if split is None or images["split"].isna().all() else images[images["split"] == split]
    labelled = chosen[chosen["category"].notna()]
    names = categories or _frequent(labelled)
    if chosen.empty or labelled.empty:
        missing = "has a category" if len(chosen) else f"is of split {split!r}"
        raise NoNewPictures(f"images: no photo {missing}: nothing to learn from")
    usable, remarks = labelled[labelled["category"].isin(names)], []
    if not usable.empty:
        side, channels = _side_and_channels(usable)
        pictures = decode_all(usable, size or side, channels)
        has_article, remarks = _with_article(pictures)
        names = categories or _frequent(usable[has_article])
        chosen_rows = has_article & usable["category"].isin(names).to_numpy()
        usable, pictures = usable[chosen_rows], pictures[chosen_rows]
    if usable.empty:
        of_split = "" if images["split"].isna().all() else f" of split {split!r}"
        missing = f"no category has {MIN_PER_CATEGORY} photos{of_split}: nothing to learn from"
        raise NoNewPictures("; ".join([f"images: {missing}", *remarks]))
    remarks += [
        f"category {name}: {count} photos, fewer than {MIN_PER_CATEGORY} that can be learned from: left out"
        for name, count in labelled["category"].value_counts().items()
        if name not in names
    ]
    codes = usable["category"].map({name: code for code, name in enumerate(names)}).to_numpy(np.int32)
    weights = _segment_weights(usable["image_id"], segments, segment_shares)
    return Photos(pictures, codes, names, weights), tuple(remarks)


def training_photos(
    tables: Mapping[str, pd.DataFrame], built: Features, side: int | None
) -> tuple[Photos, Photos | None, tuple[str, ...]]:
    """A data set's training photos, test photos (None without such a split) and remarks on photos that were left out.

    NoNewPictures if there are too few training or test photos.
    """
    images = photos_of(tables)
    if images is None:
        raise NoNewPictures("no table images: nothing to learn from")
    images, ambiguous = with_product_categories(images, tables.get("products"))
    segments = built.segments
    shares = None
    if "events" in tables and "products" in tables:
        shares = image_segments.segment_shares(tables["events"], tables["products"], built.shopper_profiles, segments)
    train, remarks = read_photos(images, segments, side, shares)
    remarks = (*ambiguous, *remarks)
    tested = images["split"].eq("test") & images["category"].isin(train.categories)
    if not images["split"].eq("test").any():
        return train, None, remarks
    if (count := int(tested.sum())) < MIN_TEST:
        raise NoNewPictures(
            f"images: {count} photos of split 'test' in the categories learned, fewer than {MIN_TEST}: generators "
            "cannot be judged by so few; add some, or leave split empty, and a part of the photos is used for testing"
        )
    test, _ = read_photos(images, segments, train.shape[0], shares, split="test", categories=train.categories)
    return train, test, remarks


def with_product_categories(
    images: pd.DataFrame, products: pd.DataFrame | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """`images` with the category of its product for each image without one, and a remark on images of several.

    An image that products of more than one category share, such as a placeholder, stays without a category.
    """
    lacking = images["category"].isna()
    if products is None or not lacking.any():
        return images, ()
    shown = products[["image_id", "category"]].dropna().drop_duplicates()
    shown = shown[shown["image_id"].isin(images.loc[lacking, "image_id"])]
    shared = shown["image_id"].duplicated(keep=False)
    category = shown[~shared].set_index("image_id")["category"]
    filled = images.assign(category=images["category"].fillna(images["image_id"].map(category)))
    count = int(shown.loc[shared, "image_id"].nunique())
    remark = f"{count} photos that products of several categories share and that have no category: left out"
    return filled, (remark,) if count else ()


def _with_article(pictures: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Which images uint8 [n, h, w, c] show an article, bool [n], and remarks on the others."""
    blank = pictures.reshape(len(pictures), -1).std(axis=1) == 0
    same = pd.Series([picture.tobytes() for picture in pictures])
    repeated = (same.map(same.value_counts()) >= PLACEHOLDER).to_numpy() & ~blank
    counts = ((blank, "photos of one single colour"), (repeated, f"photos that {PLACEHOLDER} images or more share"))
    return ~(blank | repeated), [f"{int(rows.sum())} {what}: left out" for rows, what in counts if rows.any()]


def _frequent(labelled: pd.DataFrame) -> tuple[str, ...]:
    """The categories with enough photos, sorted by name."""
    counts = labelled["category"].value_counts()
    return tuple(sorted(counts.index[counts >= MIN_PER_CATEGORY]))


def _side_and_channels(images: pd.DataFrame) -> tuple[int, int]:
    """From the photos' headers: their median longer side, within 8 to 64 pixels; 1 channel if all are grey, else 3."""
    sides, greys = zip(*map(header, images["image"]), strict=True)
    return min(max(int(np.median(sides)), MIN_SIDE), MAX_SIDE), 1 if all(greys) else 3


def _segment_weights(image_ids: pd.Series, segments: int, shares: pd.DataFrame | None) -> np.ndarray:
    weights = np.zeros((len(image_ids), segments + 1), dtype=np.float64)
    if shares is not None:
        weights[:, :segments] = shares.reindex(image_ids).fillna(0.0).to_numpy(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    weights[total[:, 0] == 0, segments] = 1.0
    return weights.astype(np.float32)
