"""What people decided about new creatives, by what an ad shows and says, so that it holds under another id too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from components.contract.files.digests import digest_json

ADMITTED, WAITING, REFUSED = "admitted", "waiting", "refused"  # status of a creative in the list of a review
# of a creative, what people see of it; not `design`, since a new price makes no other design
SHOWN = ("campaign", "product_id", "image_id", "template", "headline", "call_to_action", "palette")


def design_key(row: Mapping[str, Any]) -> str:
    """The digest of what a row of the contract's table `creatives` shows, 16 hexadecimal digits."""
    values = {name: row.get(name) for name in SHOWN}
    return digest_json({name: None if pd.isna(value) else value for name, value in values.items()})[:16]


def design_keys(creatives: pd.DataFrame) -> list[str]:
    """`design_key` of each row."""
    return [design_key(row) for row in creatives.reindex(columns=list(SHOWN)).to_dict("records")]


@dataclass(frozen=True)
class Reviews:
    """rejected: design_key -> who rejected it and why, in words; approved: keys; required: whether a pool may only have
    approved creatives (`ads.review: required`)."""

    rejected: Mapping[str, str] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    required: bool = False

    @classmethod
    def of(cls, decisions: Sequence[Mapping[str, Any]], *, required: bool) -> "Reviews":
        """From the latest decision on each key, with `key`, `approved` and `words`."""
        rejected = {one["key"]: one["words"] for one in decisions if not one["approved"]}
        return cls(rejected, frozenset(one["key"] for one in decisions if one["approved"]), required)
