"""What the generators learn from: photos, their categories, and which shopper segments touched each."""

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

MIN_SIDE, MAX_SIDE = 8, 64  # pixels; smaller holds no shape to learn, larger is beyond what two cores train
MIN_PER_CATEGORY = 20  # photos; a category with fewer is left out, for a generator would copy them
MIN_TEST = 20  # photos, halved to set the floor that generators are judged beside
PLACEHOLDER = 5  # a picture that so many images share is a shop's "no photo yet"; the 70,000 of Fashion-MNIST differ


class NoNewPictures(UserError):
    """Why no new pictures can be made of a data set; the rest of a run goes on without them."""


@dataclass(frozen=True)
class Photos:
    """Training photos of `n` products.

    pictures: uint8 [n, h, w, c]; category: int32 [n], codes into `categories`;
    segment_weights: float32 [n, segments + 1], rows sum to 1: shares of the shopper segments among those who touched
    the product, the last column for products that nobody touched ("unknown").
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
        """`count` of the photos by chance, or all where there are no more; of rare categories `MIN_PER_CATEGORY` first.

        The first rows would not do: a table that is sorted by category has but a few of them there.
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
    split: str | None = "train",
    categories: tuple[str, ...] | None = None,
) -> tuple[Photos, tuple[str, ...]]:
    """The `images` table -> (photos, remarks in words on what was left out).

    segment_shares: indexed by image_id, one column per segment 0..segments-1, non-negative; images without a row
    there, or with a row of zeros, are of unknown segment. size: side in pixels that every photo is fitted into (None:
    the photos' median side, at most 64); channels follow the data, grey only where all photos are grey. split: None
    takes all. `categories` fixes the codes, for a second split of the same data.
    """
    chosen = images if split is None or images["split"].isna().all() else images[images["split"] == split]
    labelled = chosen[chosen["category"].notna()]
    names = categories or _frequent(labelled)
    if chosen.empty or labelled.empty:
        lacks = "has a category" if len(chosen) else f"is of split {split!r}"
        raise NoNewPictures(f"images: no photo {lacks}: nothing to learn from")
    kept, remarks = labelled[labelled["category"].isin(names)], []
    if not kept.empty:
        side, channels = _side_and_channels(kept)
        pictures = decode_all(kept, size or side, channels)
        tells, remarks = _telling(pictures)
        names = categories or _frequent(kept[tells])
        sound = tells & kept["category"].isin(names).to_numpy()
        kept, pictures = kept[sound], pictures[sound]
    if kept.empty:
        lacks = f"no category has {MIN_PER_CATEGORY} photos of split {split!r}: nothing to learn from"
        raise NoNewPictures("; ".join([f"images: {lacks}", *remarks]))
    remarks += [
        f"category {name}: {count} photos, fewer than {MIN_PER_CATEGORY} that can be learned from: left out"
        for name, count in labelled["category"].value_counts().items()
        if name not in names
    ]
    codes = kept["category"].map({name: code for code, name in enumerate(names)}).to_numpy(np.int32)
    return Photos(pictures, codes, names, _segment_weights(kept["image_id"], segments, segment_shares)), tuple(remarks)


def training_photos(
    tables: Mapping[str, pd.DataFrame], built: Features, side: int | None
) -> tuple[Photos, Photos | None, tuple[str, ...]]:
    """A data set's training photos, test photos (None where it has no such split) and remarks on what was left out.

    NoNewPictures where there are too few photos to learn from, or to judge by.
    """
    images = photos_of(tables)
    if images is None:
        raise NoNewPictures("no table images: nothing to learn from")
    segments = int(built.impressions.loc[built.impressions["consent"], "segment"].max()) + 1
    shares = None
    if "events" in tables and "products" in tables:
        shares = image_segments.segment_shares(tables["events"], tables["products"], built.shopper_profiles, segments)
    train, remarks = read_photos(images, segments, side, shares)
    tested = images["split"].eq("test") & images["category"].isin(train.categories)
    if not images["split"].eq("test").any():
        return train, None, remarks
    if (count := int(tested.sum())) < MIN_TEST:
        raise NoNewPictures(
            f"images: {count} photos of split 'test' in the categories learned, fewer than {MIN_TEST}: generators "
            "cannot be judged by so few; add some, or leave split empty, and a part of the photos stands in for them"
        )
    test, _ = read_photos(images, segments, train.shape[0], shares, split="test", categories=train.categories)
    return train, test, remarks


def _telling(pictures: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """uint8 [n, h, w, c] -> (which show an article of their own, bool [n]; remarks on the others)."""
    blank = pictures.reshape(len(pictures), -1).std(axis=1) == 0
    same = pd.Series([picture.tobytes() for picture in pictures])
    repeated = (same.map(same.value_counts()) >= PLACEHOLDER).to_numpy() & ~blank
    counts = ((blank, "photos of one single colour"), (repeated, f"photos that {PLACEHOLDER} images or more share"))
    return ~(blank | repeated), [f"{int(found.sum())} {what}: left out" for found, what in counts if found.any()]


def _frequent(labelled: pd.DataFrame) -> tuple[str, ...]:
    """The categories with photos enough to learn from, in order of their names."""
    counts = labelled["category"].value_counts()
    return tuple(sorted(counts.index[counts >= MIN_PER_CATEGORY]))


def _side_and_channels(images: pd.DataFrame) -> tuple[int, int]:
    """By the photos' headers: their median longer side, within 8 to 64 pixels; 1 channel where all are grey, else 3."""
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
