"""Creatives, people's and generated ones -> float32 columns: what is written, what is shown, what is sold."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.origins import PEOPLE
from components.features.categoricals import FreeColumns, Levels, side_by_side
from components.features.products.open_columns import ALWAYS, UNTIL, known_by, known_from
from components.features.products.product_attributes import Trait, Traits

WORDS = ("template", "headline", "call_to_action", "palette")
PREFIX = "creative_"


@dataclass(frozen=True)
class CreativeColumns:
    """Which values of a creative's own columns are kept, and the data set's own `feature_*` columns."""

    words: tuple[Levels, ...]
    free: FreeColumns
    product: FreeColumns

    @classmethod
    def fit(cls, creatives: pd.DataFrame, products: pd.DataFrame | None, until: int) -> "CreativeColumns":
        """All creatives and products -> the columns to write; a headline used once teaches nothing and is left out.

        until: microseconds; open columns that are not known by then are not learned from.
        """
        words = []
        for name in WORDS:
            repeated = creatives[name][creatives[name].duplicated(keep=False)]
            words.append(Levels.fit(PREFIX + name, repeated))
        advertised = pd.DataFrame() if products is None else products
        return cls(
            tuple(words),
            FreeColumns.fit(PREFIX, "feature_", known_by(creatives, until)),
            FreeColumns.fit(f"{PREFIX}product_", "feature_", known_by(advertised, until)),
        )

    def encode(
        self, creatives: pd.DataFrame, shown: pd.DataFrame, traits: tuple[Trait, ...]
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """creatives [n], what each shows, and its traits -> column names, float32 [n, columns]."""
        generated = (creatives["origin"] != PEOPLE).to_numpy(dtype=np.float32)[:, None]
        names = [f"{PREFIX}generated", *(column for levels in self.words for column in levels.columns)]
        blocks = [generated, *(levels.encode(creatives[levels.group.removeprefix(PREFIX)]) for levels in self.words)]
        for trait in traits:
            names.extend(PREFIX + column for column in trait.columns)
            blocks.append(np.round(trait.vectors, 6))
        blocks += [self.free.encode(creatives), self.product.encode(shown)]
        return (*names, *self.free.columns, *self.product.columns), side_by_side(blocks, len(creatives))

    def earlier(self, rows: pd.DataFrame, creatives: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
        """Feature rows of creatives [n] -> their versions while open columns were not known yet: [e], e <= 2 n.

        rows, creatives and what each shows are aligned. A version has the columns of `rows`, and UNTIL: before that
        moment the creative's own open columns, its product's or both are missing.
        """
        groups = ((self.free, known_from(creatives)), (self.product, known_from(shown)))
        begins = np.stack([moment if free.columns else np.full(len(rows), ALWAYS) for free, moment in groups])
        low, high = begins.min(axis=0), begins.max(axis=0)  # int64 [n]
        versions = []
        for until, is_one in ((low, low > ALWAYS), (high, high > low)):
            version = rows[is_one].assign(**{UNTIL: pd.to_datetime(until[is_one], unit="us", utc=True).as_unit("us")})
            for (free, _), begin in zip(groups, begins, strict=True):
                hidden = (begin >= until)[is_one]
                version.loc[hidden, list(free.columns)] = free.missing()
            versions.append(version)
        return pd.concat(versions, ignore_index=True)


def things_shown(creatives: pd.DataFrame, products: pd.DataFrame | None) -> pd.DataFrame:
    """creatives [n] -> [n] rows of their products, whose image_id is the creative's own where it has one."""
    columns = ["category", "brand", "price", "title"]
    if products is None:
        shown = pd.DataFrame({name: pd.Series(pd.NA, index=creatives.index, dtype="str") for name in columns})
        shown["price"] = np.nan
        return shown.assign(image_id=creatives["image_id"])
    shown = products.set_index("product_id").reindex(creatives["product_id"]).set_index(creatives.index)
    return shown.assign(image_id=creatives["image_id"].where(creatives["image_id"].notna(), shown["image_id"]))


def headline_trait(creatives: pd.DataFrame, traits: Traits) -> tuple[Trait, ...]:
    """creatives [n] -> where their headlines lie in the space of texts, for headlines that nobody has used before."""
    if traits.text is None:
        return ()
    vectors = traits.text.embed(creatives["headline"])
    columns = tuple(f"wording:{number:02d}" for number in range(vectors.shape[1]))
    return (Trait("wording", columns, vectors, vectors.any(axis=1)),)
