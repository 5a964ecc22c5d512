"""Candidate ads of one source, such as a shop's photos or generators, before any is admitted or chosen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.files.digests import digest_json
from components.contract.origins import PEOPLE

DRAWN = ("template", "headline", "call_to_action", "palette")  # of each of them, what people used
DRAWS_PER_PLACE = 6  # candidates for each place in a pool


@dataclass(frozen=True)
class Proposals:
    """n candidate ads. rows: columns of the contract's table `creatives`, and the product's `category`.

    pictures: uint8 [n, h, w, c], generated images; None: each row's image_id is a photo in the table `images`.
    """

    rows: pd.DataFrame
    pictures: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)


def by_people(tables, campaign: str) -> pd.DataFrame:
    """The creatives that people made for a campaign."""
    creatives = tables["creatives"]
    return creatives[(creatives["campaign"] == campaign) & (creatives["origin"] == PEOPLE)]


def drawn_texts(own: pd.DataFrame, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """`count` draws of each column of DRAWN from a campaign's creatives `own`, object [count] by column.

    The columns are drawn independently, each value as often as people used it; None without any.
    """
    return {name: _choices(own[name], count, random) for name in DRAWN}


def _choices(values: pd.Series, count: int, random: np.random.Generator) -> np.ndarray:
    used = values.dropna().sort_values(kind="stable").to_numpy(dtype=object)
    return used[random.integers(0, len(used), count)] if len(used) else np.full(count, None, dtype=object)


def named(campaigns: pd.Series, infix: str, contents: list[dict]) -> list[str]:
    """Ids `<campaign>-<infix>-<digest of the content>`, so that an id never refers to two creatives."""
    return [
        f"{campaign}-{infix}-{digest_json(content)[:12]}" for campaign, content in zip(campaigns, contents, strict=True)
    ]
