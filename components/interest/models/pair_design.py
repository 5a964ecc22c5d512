"""The pair map: features of (impression, creative) for a personal click model.

Every feature is linear in the impression's columns x and in the creative's columns z, so the logit is

    logit(x, z) = a + u.x + v.z + x' W z + r.pair                                                 (1)

and scoring one pair of many impressions with many creatives costs one small product, (x' W).z. Only the crosses in
CROSSES have entries in W; each is one group of coefficients with its own prior variance (prior_variance.py).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features import Features
from components.features.categoricals import join_columns
from components.interest.models.feature_blocks import (
    ONE,
    SHOPPER_BLOCKS,
    FeatureBlocks,
    creative_blocks,
    impression_blocks,
)

# how a block of x is crossed with a block of z: every column with every column; each column with the column of the same
# name, one coefficient each; the same with one coefficient for all (the inner product)
OUTER, ALONG, MATCH = "outer", "along", "match"
COPY_BLOCKS = ("template", "headline", "call_to_action", "palette", "appeal")
# what many creatives share; headlines are too many for an effect of each in each segment, so their appeals stand in
SHARED_COPY = ("template", "call_to_action", "palette", "appeal")
CROSSES = (
    # traits of products that the shopper touched x traits that the creative shows
    *((trait, trait, MATCH) for trait in ("category", "brand", "price", "log_price", "title", "look")),
    *((trait, trait, ALONG) for trait in ("category", "brand", "price", "look")),
    ("query", "title", MATCH),
    # shopper segment and profile x copy, template and look of the ad
    *(("segment", block, OUTER) for block in (*SHARED_COPY, "category", "price", "look")),
    *(("shopper", block, OUTER) for block in ("template", "palette", "category", "price", "own")),
    ("category", "template", OUTER),
    # hour and placement x look of the ad
    ("hour", "palette", OUTER),
    ("hour", "template", OUTER),
    ("placement", "template", OUTER),
)  # fmt: skip
TRAIT_BLOCKS = ("category", "brand", "price", "log_price", "title", "wording", "look")
KINDS_OF_BLOCKS = dict.fromkeys(COPY_BLOCKS, "copy") | dict.fromkeys(TRAIT_BLOCKS, "traits")
DENSE_BLOCKS, DENSE_SCALE = ("title", "look"), 0.25  # vectors of about 16 coordinates of unit variance: 1 / sqrt(16)


@dataclass(frozen=True)
class Term:
    """Block `left` of the impression crossed with block `right` of the creative. how: OUTER, ALONG or MATCH."""

    left: str
    right: str
    how: str

    @property
    def name(self) -> str:
        """The term's name, such as `segment x template`."""
        return f"{self.left} x {self.right}" if self.how == OUTER else f"{self.left} {self.how} {self.right}"

    @property
    def group(self) -> str:
        """The group that shares one prior variance: terms of one kind, whose effects are of one size.

        All MATCH terms share one, for each says that taste predicts clicks; so do all ALONG terms, and crosses of one
        block with elements of the ad's copy, or with traits of its product. Together they have evidence where each
        alone has too little.
        """
        if self.how != OUTER:
            return self.how
        if self.left == self.right:
            return self.name
        return f"{self.left} x {KINDS_OF_BLOCKS.get(self.right, self.right)}"

    @property
    def unit(self) -> float:
        """The factor that gives a MATCH column unit variance; a product of dense vectors sums many terms."""
        dense = self.how == MATCH and self.right in DENSE_BLOCKS
        return DENSE_SCALE if dense else 1.0


@dataclass(frozen=True)
class PairMap:
    """The blocks of impressions (left) and creatives (right), and their crosses. pairs: names of the pair features."""

    left: FeatureBlocks
    right: FeatureBlocks
    terms: tuple[Term, ...]
    pairs: tuple[str, ...]

    @classmethod
    def fit(cls, features: Features, rows: pd.DataFrame, pairs: tuple[str, ...]) -> "PairMap":
        """The map fitted on training impressions `rows` and all creatives; terms without columns are left out.

        The creatives' scales come from their versions known at the last training row.
        """
        creatives = features.creatives_at(rows["timestamp"].max())
        left, right = impression_blocks(rows), creative_blocks(creatives)
        # a taste says which ads a shopper clicks; how often a shopper clicks any is left to the other columns
        main_effects = [Term(block.name, ONE, OUTER) for block in left.all if block.name not in SHOPPER_BLOCKS]
        main_effects += [Term(ONE, block.name, OUTER) for block in right.all]
        crosses = [Term(*cross) for cross in CROSSES if left.width(cross[0]) and right.width(cross[1])]
        terms = tuple(term for term in (*main_effects, *crosses) if left.width(term.left) and right.width(term.right))
        return cls(left, right, terms, pairs)

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each column of `design`, str [d]; a pair feature is one group."""
        named = [name for term in self.terms for name in [term.group] * self._columns(term)]
        return (*named, *(column.partition(":")[0] for column in self.pairs))

    def design(self, rows: pd.DataFrame, creatives: pd.DataFrame, values: np.ndarray) -> np.ndarray:
        """The design matrix of n aligned impressions, creatives and pair features: float32 [n, d]."""
        x = self.left.encode(rows, tuple(term.left for term in self.terms))
        z = self.right.encode(creatives, tuple(term.right for term in self.terms))
        blocks = [_cross(x[term.left], z[term.right], term) for term in self.terms]
        return join_columns([*blocks, values], len(rows))

    def unfold(self, weights: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """From weights float64 [d]: the matrix [k_left, k_right] of each term in (1), and the slopes r [pairs]."""
        matrices, start = [], 0
        for term in self.terms:
            count = self._columns(term)
            term_weights = weights[start : start + count]
            matrices.append(self._matrix(term, term_weights))
            start += count
        return tuple(matrices), weights[start:]

    def _matrix(self, term: Term, weights: np.ndarray) -> np.ndarray:
        if term.how == OUTER:
            return weights.reshape(self.left.width(term.left), self.right.width(term.right))
        return np.diag(weights if term.how == ALONG else np.repeat(weights * term.unit, self.left.width(term.left)))

    def _columns(self, term: Term) -> int:
        left, right = self.left.width(term.left), self.right.width(term.right)
        return {OUTER: left * right, ALONG: left, MATCH: 1}[term.how]


def _cross(x: np.ndarray, z: np.ndarray, term: Term) -> np.ndarray:
    """The columns of `term` from x [n, k] and z [n, l]: [n, columns of the term]."""
    if term.how == OUTER:
        return (x[:, :, None] * z[:, None, :]).reshape(len(x), -1)
    products = x * z
    return products if term.how == ALONG else products.sum(axis=1, keepdims=True) * np.float32(term.unit)
