"""Which columns meet which: the map from (impression, creative) to the features of a personal click model.

Every feature is linear in the impression's columns x and in the creative's columns z, so a score is

    logit(x, z) = a + u.x + v.z + x' W z + r.pair                                                 (1)

and all pairs of many impressions with many creatives cost one small product each, (x' W).z. W is not free: only the
crosses in CROSSES have entries, and each is one group of coefficients with a prior variance of its own (evidence.py).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features import Features
from components.features.categoricals import side_by_side
from components.interest.models.feature_blocks import ONE, Side, creative_side, impression_side

# how a block of x meets a block of z: every column with every column; each with its namesake, a coefficient each;
# each with its namesake, one coefficient for all (the plain inner product)
OUTER, ALONG, MATCH = "outer", "along", "match"
WORDS = ("template", "headline", "call_to_action", "palette")
CROSSES = (
    # what the shopper has touched against what the creative shows
    *((trait, trait, MATCH) for trait in ("category", "brand", "price", "title", "look")),
    *((trait, trait, ALONG) for trait in ("category", "brand", "price", "look")),
    ("query", "title", MATCH),
    ("price", "price", OUTER),  # neighbouring bands attract, too
    # the kind of person against how the ad speaks and looks
    *(("segment", block, OUTER) for block in (*WORDS, "category", "price", "look")),
    *(("shopper", block, OUTER) for block in ("template", "palette", "category", "price", "own")),
    ("category", "template", OUTER),
    # the moment against how the ad looks
    ("hour", "palette", OUTER),
    ("hour", "template", OUTER),
    ("placement", "template", OUTER),
)  # fmt: skip
DENSE, DENSE_SHARE = ("title", "look"), 0.25  # vectors of about 16 coordinates of unit variance: 1 / sqrt(16)


@dataclass(frozen=True)
class Term:
    """One group of coefficients: block `left` of the impression meets block `right` of the creative."""

    left: str
    right: str
    how: str

    @property
    def name(self) -> str:
        """Such as `segment x template`."""
        return f"{self.left} x {self.right}" if self.how == OUTER else f"{self.left} {self.how} {self.right}"

    @property
    def group(self) -> str:
        """Whose prior variance it shares: plain matches make one claim (taste predicts clicks), so they share one."""
        return MATCH if self.how == MATCH else self.name

    @property
    def unit(self) -> float:
        """What a match is multiplied by to have unit variance: a dense product sums many terms, a share picks one."""
        dense = self.how == MATCH and self.right in DENSE
        return DENSE_SHARE if dense else 1.0


@dataclass(frozen=True)
class PairMap:
    """The blocks of both sides, and the terms in which they meet. pairs: columns of the pair features."""

    left: Side
    right: Side
    terms: tuple[Term, ...]
    pairs: tuple[str, ...]

    @classmethod
    def fit(cls, features: Features, rows: pd.DataFrame, pairs: tuple[str, ...]) -> "PairMap":
        """Training rows of the impressions and all creatives -> map of every term that there are columns for.

        Scales are those of the creatives as the last training row sees them.
        """
        creatives = features.creatives_at(rows["timestamp"].max())
        left, right = impression_side(rows), creative_side(creatives)
        mains = [Term(block.name, ONE, OUTER) for block in (*left.numbers, *left.codes)]
        mains += [Term(ONE, block.name, OUTER) for block in (*right.numbers, *right.codes)]
        crosses = [Term(*cross) for cross in CROSSES if left.width(cross[0]) and right.width(cross[1])]
        terms = tuple(term for term in (*mains, *crosses) if left.width(term.left) and right.width(term.right))
        return cls(left, right, terms, pairs)

    @property
    def groups(self) -> tuple[str, ...]:
        """The name of the group that each column of `design` belongs to; a pair feature is one group."""
        named = [name for term in self.terms for name in [term.group] * self._columns(term)]
        return (*named, *(column.partition(":")[0] for column in self.pairs))

    def design(self, rows: pd.DataFrame, creatives: pd.DataFrame, values: np.ndarray) -> np.ndarray:
        """n impressions and the creative of each, aligned -> float32 [n, d], one column per coefficient of (1)."""
        x = self.left.encode(rows, tuple(term.left for term in self.terms))
        z = self.right.encode(creatives, tuple(term.right for term in self.terms))
        blocks = [_meet(x[term.left], z[term.right], term) for term in self.terms]
        return side_by_side([*blocks, values], len(rows))

    def unfold(self, weights: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """weights float64 [d] -> per term its matrix [k_left, k_right] in (1), and the slopes of the pair features."""
        matrices, start = [], 0
        for term in self.terms:
            count = self._columns(term)
            own = weights[start : start + count]
            matrices.append(self._matrix(term, own))
            start += count
        return tuple(matrices), weights[start:]

    def _matrix(self, term: Term, own: np.ndarray) -> np.ndarray:
        if term.how == OUTER:
            return own.reshape(self.left.width(term.left), self.right.width(term.right))
        return np.diag(own if term.how == ALONG else np.repeat(own * term.unit, self.left.width(term.left)))

    def _columns(self, term: Term) -> int:
        left, right = self.left.width(term.left), self.right.width(term.right)
        return {OUTER: left * right, ALONG: left, MATCH: 1}[term.how]


def _meet(x: np.ndarray, z: np.ndarray, term: Term) -> np.ndarray:
    """x [n, k], z [n, l] -> [n, columns of the term]."""
    if term.how == OUTER:
        return (x[:, :, None] * z[:, None, :]).reshape(len(x), -1)
    along = x * z
    return along if term.how == ALONG else along.sum(axis=1, keepdims=True) * np.float32(term.unit)
