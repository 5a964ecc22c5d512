"""The columns of a feature table, sorted into the blocks that a pair map crosses, by the group in their names."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.categoricals import Levels
from components.interest.models.encoders import Codes, Numbers

ONE = "one"  # the block that is 1 for every row: its crosses are main effects
TASTES = ("category", "brand", "price", "title", "look", "query", "kind")
PLACES = ("position", "placement", "campaign", "hour")
CLOCK = ("context_hour_sin", "context_hour_cos", "context_weekend")
PAST = tuple(
    f"shopper_{name}"
    for name in (
        *("recency", "count", "value", "touches", "shown", "clicked"),
        *("campaign_shown", "campaign_clicked", "campaign_recency"),
    )
)
SHOWN = ("template", "headline", "call_to_action", "palette", "category", "brand", "price", "title", "wording", "look")


@dataclass(frozen=True)
class Side:
    """The blocks of one kind of row, impressions or creatives; identities last, for they meet nothing but ONE."""

    numbers: tuple[Numbers, ...]
    codes: tuple[Codes, ...]

    def encode(self, table: pd.DataFrame, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """table [n] -> {block: float32 [n, k]} of the blocks asked for, ONE included."""
        blocks: dict[str, np.ndarray] = {ONE: np.ones((len(table), 1), dtype=np.float32)}
        for block in (*self.numbers, *self.codes):
            if block.name in names:
                blocks[block.name] = block.encode(table)
        return blocks

    def width(self, name: str) -> int:
        """Columns of a block; 0 for one that this data set does not have."""
        return next((block.width for block in (*self.numbers, *self.codes) if block.name == name), int(name == ONE))


def impression_side(rows: pd.DataFrame) -> Side:
    """Training rows of the impressions -> the blocks of x; `shopper` and `context` hold a data set's own columns."""
    shopper = [name for name in rows.columns if name.startswith("shopper_") and name != "shopper_id"]
    context = [name for name in rows.columns if name.startswith("context_")]
    places = {name: tuple(c for c in context if _group(c) == f"context_{name}" and ":" in c) for name in PLACES}
    tastes = {name: tuple(c for c in shopper if _group(c) == f"shopper_{name}") for name in TASTES}
    past = tuple(c for c in shopper if _group(c) in PAST)
    taken = {*CLOCK, *past}.union(*places.values(), *tastes.values())
    blocks = [Numbers.fit(name, columns, rows, pooled=True) for name, columns in (places | tastes).items()]
    blocks.append(Numbers.fit("clock", CLOCK, rows))
    blocks.append(Numbers.fit("past", past, rows, logged=True))
    blocks.append(Numbers.fit("shopper", tuple(c for c in shopper if c not in taken), rows))
    blocks.append(Numbers.fit("context", tuple(c for c in context if c not in taken), rows))
    segments = tuple(str(number) for number in range(int(rows["segment"].max()) + 1))
    codes = (Codes("segment", "segment", Levels("segment", segments)),) if len(segments) > 1 else ()
    return Side(tuple(block for block in blocks if block.width), codes)


def creative_side(creatives: pd.DataFrame) -> Side:
    """All creatives -> the blocks of z; `creative` and `product` are the identities, `own` a data set's own columns."""
    named = [name for name in creatives.columns if name.startswith("creative_") and name != "creative_id"]
    shown = {name: tuple(c for c in named if _group(c) == f"creative_{name}") for name in SHOWN}
    taken = set().union(*shown.values())
    blocks = [Numbers.fit(name, columns, creatives, pooled=True) for name, columns in shown.items()]
    blocks.append(Numbers.fit("own", tuple(c for c in named if c not in taken), creatives))
    identities = (_identity("product", creatives["product_id"]), _identity("creative", creatives["creative_id"]))
    return Side(
        tuple(block for block in blocks if block.width), tuple(identity for identity in identities if identity.width)
    )


def _identity(name: str, ids: pd.Series) -> Codes:
    return Codes(name, f"{name}_id", Levels.fit(name, ids, most=len(ids)))


def _group(column: str) -> str:
    return column.partition(":")[0]
