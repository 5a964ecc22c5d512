"""Features of creatives, also generated ones: texts, template and palette, product attributes, image, open columns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.origins import REAL_PHOTOS
from components.features.categoricals import Levels, OpenColumns, join_columns
from components.features.products.copy_appeals import APPEALS, appeals_of
from components.features.products.open_columns import ALWAYS, KNOWN_UNTIL, known_from, rows_known_at
from components.features.products.product_attributes import AttributeVectors, ProductAttributes, numbered

COPY_COLUMNS = ("template", "headline", "call_to_action", "palette")
CREATIVE_PREFIX = "creative_"


@dataclass(frozen=True)
class CreativeColumns:
    """The encoded values of a creative's columns, and the open columns of creatives and of their products."""

    words: tuple[Levels, ...]
    free: OpenColumns
    product: OpenColumns

    @classmethod
    def fit(cls, creatives: pd.DataFrame, products: pd.DataFrame | None, until: int) -> "CreativeColumns":
        """The columns of all creatives and products; values of a single creative are left out.

        until: microseconds; open columns that are known later are not used for fitting.
        """
        words = []
        for name in COPY_COLUMNS:
            repeated = creatives[name][creatives[name].duplicated(keep=False)]
            words.append(Levels.fit(CREATIVE_PREFIX + name, repeated))
        advertised = pd.DataFrame() if products is None else products
        return cls(
            tuple(words),
            OpenColumns.fit(CREATIVE_PREFIX, "feature_", rows_known_at(creatives, until)),
            OpenColumns.fit(f"{CREATIVE_PREFIX}product_", "feature_", rows_known_at(advertised, until)),
        )

    def encode(
        self, creatives: pd.DataFrame, products_shown: pd.DataFrame, traits: tuple[AttributeVectors, ...]
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Column names and float32 [n, columns] of creatives [n], with their products and their attributes."""
        generated = (~creatives["origin"].isin(REAL_PHOTOS)).to_numpy(dtype=np.float32)[:, None]
        names = [f"{CREATIVE_PREFIX}generated", *(column for levels in self.words for column in levels.columns)]
        blocks = [
            generated,
            *(levels.encode(creatives[levels.group.removeprefix(CREATIVE_PREFIX)]) for levels in self.words),
        ]
        for trait in traits:
            names.extend(CREATIVE_PREFIX + column for column in trait.columns)
            blocks.append(np.round(trait.vectors, 6))
        blocks += [self.free.encode(creatives), self.product.encode(products_shown)]
        return (*names, *self.free.columns, *self.product.columns), join_columns(blocks, len(creatives))

    def earlier(self, rows: pd.DataFrame, creatives: pd.DataFrame, products_shown: pd.DataFrame) -> pd.DataFrame:
        """The earlier versions of the feature rows [n], before open columns became known: [e], e <= 2 n.

        rows, creatives and their products are aligned. A version has the columns of `rows` and KNOWN_UNTIL: before that
        time the open columns of the creative, of its product or of both are missing.
        """
        groups = ((self.free, known_from(creatives)), (self.product, known_from(products_shown)))
        begins = np.stack([moment if free.columns else np.full(len(rows), ALWAYS) for free, moment in groups])
        low, high = begins.min(axis=0), begins.max(axis=0)  # int64 [n]
        versions = []
        for until, is_one in ((low, low > ALWAYS), (high, high > low)):
            version = rows[is_one].assign(
                **{KNOWN_UNTIL: pd.to_datetime(until[is_one], unit="us", utc=True).as_unit("us")}
            )
            for (free, _), begin in zip(groups, begins, strict=True):
                hidden = (begin >= until)[is_one]
                version.loc[hidden, list(free.columns)] = free.missing()
            versions.append(version)
        return pd.concat(versions, ignore_index=True)


def advertised_products(creatives: pd.DataFrame, products: pd.DataFrame | None) -> pd.DataFrame:
    """The products of creatives [n], one row each; image_id is the creative's if it has one."""
    columns = ["category", "brand", "price", "title"]
    if products is None:
        products_shown = pd.DataFrame({name: pd.Series(pd.NA, index=creatives.index, dtype="str") for name in columns})
        products_shown["price"] = np.nan
        return products_shown.assign(image_id=creatives["image_id"])
    products_shown = products.set_index("product_id").reindex(creatives["product_id"]).set_index(creatives.index)
    return products_shown.assign(
        image_id=creatives["image_id"].where(creatives["image_id"].notna(), products_shown["image_id"])
    )


def headline_attributes(creatives: pd.DataFrame, traits: ProductAttributes) -> tuple[AttributeVectors, ...]:
    """What the headlines of creatives [n] say, also headlines that were never used: their appeals, and their text
    embeddings if there are any."""
    appeals = appeals_of(creatives["headline"])
    attributes = [AttributeVectors("appeal", tuple(f"appeal:{name}" for name in APPEALS), appeals, appeals.any(axis=1))]
    if traits.text is not None:
        vectors = traits.text.embed(creatives["headline"])
        attributes.append(
            AttributeVectors("wording", numbered("wording", vectors.shape[1]), vectors, vectors.any(axis=1))
        )
    return tuple(attributes)
