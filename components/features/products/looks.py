"""The looks of images: their embeddings by a feature model's encoder. Each image is decoded once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.images import Encoder, NetworkEncoder, PictureEncoder, decode_all, fit_all, shape_of

LOOK = "look"
MAX_SIDE = 64  # larger images are resized before they are encoded, which is enough for a look
MAX_PICTURES = 10_000  # more photos change the principal components by less than their rounding


@dataclass(frozen=True)
class Looks:
    """image_id: str [n], distinct. vectors: float32 [n, d]; d is 0 without an encoder."""

    image_id: pd.Series
    vectors: np.ndarray

    @classmethod
    def none(cls) -> "Looks":
        """Of no images."""
        return cls(pd.Series(dtype="str"), np.zeros((0, 0), np.float32))

    @classmethod
    def of_pictures(cls, encoder: Encoder | None, image_id: pd.Series, pictures: np.ndarray) -> "Looks":
        """Of images that are decoded already, uint8 [n, h, w, c]. encoder None: of no images."""
        if encoder is None:
            return cls.none()
        return cls(image_id.reset_index(drop=True), encoder.embed(fit_all(pictures, encoder.shape)))

    @classmethod
    def of_images(cls, encoder: Encoder | None, images: pd.DataFrame | None, known: "Looks | None" = None) -> "Looks":
        """Of the contract's table `images`, without decoding those in `known`. UserError for a damaged image."""
        if encoder is None or images is None:
            return cls.none()
        earlier = cls(pd.Series(dtype="str"), np.zeros((0, encoder.dimensions), np.float32)) if known is None else known
        new = images[~images["image_id"].isin(earlier.image_id)]
        height, width, channels = encoder.shape
        vectors = encoder.embed(decode_all(new, (height, width), channels))
        ids = pd.concat([earlier.image_id, new["image_id"]], ignore_index=True)
        return cls(ids, np.concatenate([earlier.vectors, vectors])).taken(images["image_id"])

    def taken(self, image_id: pd.Series) -> "Looks":
        """Of the images `image_id`, all of which are known, in that order."""
        rows = pd.Index(self.image_id).get_indexer(pd.Index(image_id))
        return Looks(image_id.reset_index(drop=True), self.vectors[rows])

    def of(self, image_id: pd.Series, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float64 [n, dimensions], zeros for an unknown image, and whether each is known, bool [n]."""
        rows = pd.Index(self.image_id).get_indexer(pd.Index(image_id))
        known = rows >= 0
        vectors = np.zeros((len(rows), dimensions))
        if known.any():
            vectors[known] = self.vectors[rows[known]]
        return vectors, known

    def to_table(self) -> pd.DataFrame:
        """Columns image_id, and float32 `look:00` and so on."""
        columns = {name: self.vectors[:, number] for number, name in enumerate(numbered(LOOK, self.vectors.shape[1]))}
        return pd.DataFrame({"image_id": self.image_id, **columns})

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> "Looks":
        """What `to_table` gave."""
        return cls(table["image_id"], table.drop(columns="image_id").to_numpy(np.float32))


def looks_of(encoder: Encoder | None, tables: Mapping[str, pd.DataFrame], known: Looks | None = None) -> Looks:
    """Of the images that products and creatives of the contract's tables name, without decoding those in `known`."""
    images = tables.get("images")
    if images is None:
        return Looks.none()
    named = pd.concat([tables[name]["image_id"] for name in ("creatives", "products") if name in tables])
    return Looks.of_images(encoder, images[images["image_id"].isin(named.dropna())], known)


def fit_encoder(
    images: pd.DataFrame | None, dimensions: int, seed: int, network: NetworkEncoder | None = None
) -> tuple[PictureEncoder | NetworkEncoder | None, Looks | None]:
    """The encoder of looks, fitted on the training photos of `images`, and their looks; None with fewer than two.

    network: used in place of `dimensions` principal components that are fitted here; then no image is decoded yet.
    """
    if images is None:
        return None, None
    photos = images[images["split"].fillna("train") != "test"] if "split" in images else images
    if len(photos) < 2:
        return None, None
    if network is not None:
        return network, None
    photos = photos.sort_values("image_id", kind="stable")
    if len(photos) > MAX_PICTURES:
        photos = photos.iloc[np.sort(np.random.default_rng(seed).choice(len(photos), MAX_PICTURES, replace=False))]
    shapes = np.array([shape_of(content) for content in photos["image"].iloc[:100]])
    height, width = np.minimum(np.median(shapes[:, :2], axis=0).astype(int), MAX_SIDE)
    pictures = decode_all(photos, (int(height), int(width)), int(shapes[:, 2].max()))
    encoder = PictureEncoder.fit(pictures, dimensions)
    return encoder, Looks.of_pictures(encoder, photos["image_id"], pictures)


def numbered(name: str, width: int) -> tuple[str, ...]:
    """Names of the coordinates of a dense vector, such as `look:00`."""
    return tuple(f"{name}:{number:02d}" for number in range(width))
