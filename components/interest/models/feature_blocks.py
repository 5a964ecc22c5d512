"""Sort the columns of a feature table into blocks, by the group in their names; a pair map crosses blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels, one_hot
from components.interest.models.encoders import CategoricalBlock, NumericBlock, check_columns, scaled
from components.interest.request_scorer import RequestRow

ONE = "one"  # the constant block, 1 for every row: its crosses are main effects
SHOPPER_BLOCKS = ("category", "brand", "price", "log_price", "title", "look", "query", "kind")
CONTEXT_BLOCKS = ("position", "placement", "campaign", "hour")
CLOCK_COLUMNS = ("context_hour_sin", "context_hour_cos", "context_weekend")
HISTORY_GROUPS = tuple(
    f"shopper_{name}"
    for name in (
        *("recency", "count", "value", "touches", "shown", "clicked"),
        *("campaign_shown", "campaign_clicked", "campaign_recency"),
    )
)
CREATIVE_BLOCKS = (
    "template",
    "headline",
    "call_to_action",
    "palette",
    "appeal",
    "category",
    "brand",
    "price",
    "log_price",
    "title",
    "wording",
    "look",
)


@dataclass(frozen=True)
class FeatureBlocks:
    """Blocks of impressions, or of creatives. codes: segments or identities; identities are crossed with ONE only."""

    numbers: tuple[NumericBlock, ...]
    codes: tuple[CategoricalBlock, ...]

    @property
    def all(self) -> tuple[NumericBlock | CategoricalBlock, ...]:
        """The blocks of numbers, then those of codes."""
        return (*self.numbers, *self.codes)

    def encode(self, table: pd.DataFrame, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Block name -> float32 [n, k], for ONE and the blocks in `names`."""
        blocks: dict[str, np.ndarray] = {ONE: np.ones((len(table), 1), dtype=np.float32)}
        for block in self.all:
            if block.name in names:
                blocks[block.name] = block.encode(table)
        return blocks

    def width(self, name: str) -> int:
        """Number of columns of the block `name`; 0 if this data set does not have it."""
        return next((block.width for block in self.all if block.name == name), int(name == ONE))


class RowEncoder:
    """Encodes one impression that is given as an array, as `FeatureBlocks.encode` does with a table."""

    def __init__(self, blocks: FeatureBlocks, columns: Sequence[str]):
        """columns: names of a request's values. UserError if a column of the blocks is not among them."""
        numbers = blocks.numbers
        place = {name: number for number, name in enumerate(columns)}
        names = [name for block in numbers for name in block.columns]
        check_columns(names, place)
        widths = [block.width for block in numbers]
        ends = np.cumsum(widths).tolist()
        self._places = np.array([place[name] for name in names], dtype=np.int64)
        self._logged = np.flatnonzero(np.repeat([block.logged for block in numbers], widths))
        self._mean, self._scale = (
            np.concatenate([np.zeros(0), *(getattr(block, name) for block in numbers)]) for name in ("mean", "scale")
        )
        self._cap = np.repeat([block.cap for block in numbers], widths)
        self._slices = {block.name: slice(end - block.width, end) for block, end in zip(numbers, ends, strict=True)}
        self._levels = {block.name: block.levels.levels for block in blocks.codes}
        self._one = np.ones((1, 1), dtype=np.float32)

    def encode(self, request: RequestRow) -> dict[str, np.ndarray]:
        """Block name -> float32 [1, k], for ONE and every block."""
        values = request.values[self._places].astype(np.float64)
        logged = values[self._logged]
        values[self._logged] = np.sign(logged) * np.log1p(np.abs(logged))
        numbers = scaled(values, self._mean, self._scale, self._cap)[None, :]
        encoded = {name: numbers[:, columns] for name, columns in self._slices.items()}
        for name, levels in self._levels.items():
            segment = str(request.segment)
            code = levels.index(segment) if segment in levels else -1
            encoded[name] = one_hot(np.array([code]), len(levels))
        return {ONE: self._one, **encoded}


def impression_blocks(rows: pd.DataFrame) -> FeatureBlocks:
    """The blocks of training impressions; `shopper` and `context` hold columns that only this data set has."""
    shopper_names = [name for name in rows.columns if name.startswith("shopper_") and name != "shopper_id"]
    context_names = [name for name in rows.columns if name.startswith("context_")]
    context_columns = {
        name: tuple(c for c in context_names if _group(c) == f"context_{name}" and ":" in c) for name in CONTEXT_BLOCKS
    }
    shopper_columns = {
        name: tuple(c for c in shopper_names if _group(c) == f"shopper_{name}") for name in SHOPPER_BLOCKS
    }
    history = tuple(c for c in shopper_names if _group(c) in HISTORY_GROUPS)
    grouped = {*CLOCK_COLUMNS, *history}.union(*context_columns.values(), *shopper_columns.values())
    blocks = [
        NumericBlock.fit(name, columns, rows, pooled=True)
        for name, columns in (context_columns | shopper_columns).items()
    ]
    blocks.append(NumericBlock.fit("clock", CLOCK_COLUMNS, rows))
    blocks.append(NumericBlock.fit("past", history, rows, logged=True))
    blocks.append(NumericBlock.fit("shopper", tuple(c for c in shopper_names if c not in grouped), rows))
    blocks.append(NumericBlock.fit("context", tuple(c for c in context_names if c not in grouped), rows))
    segments = tuple(str(number) for number in range(int(rows["segment"].max()) + 1))
    codes = (CategoricalBlock("segment", "segment", Levels("segment", segments)),) if len(segments) > 1 else ()
    return FeatureBlocks(tuple(block for block in blocks if block.width), codes)


def creative_blocks(creatives: pd.DataFrame) -> FeatureBlocks:
    """The blocks of creatives; `creative` and `product` are identities, `own` holds columns that only this set has."""
    creative_names = [name for name in creatives.columns if name.startswith("creative_") and name != "creative_id"]
    block_columns = {
        name: tuple(c for c in creative_names if _group(c) == f"creative_{name}") for name in CREATIVE_BLOCKS
    }
    grouped = set().union(*block_columns.values())
    blocks = [NumericBlock.fit(name, columns, creatives, pooled=True) for name, columns in block_columns.items()]
    blocks.append(NumericBlock.fit("own", tuple(c for c in creative_names if c not in grouped), creatives))
    identities = (_identity("product", creatives["product_id"]), _identity("creative", creatives["creative_id"]))
    return FeatureBlocks(
        tuple(block for block in blocks if block.width), tuple(identity for identity in identities if identity.width)
    )


def _identity(name: str, ids: pd.Series) -> CategoricalBlock:
    return CategoricalBlock(name, f"{name}_id", Levels.fit(name, ids, most=len(ids)))


def _group(column: str) -> str:
    return column.partition(":")[0]
