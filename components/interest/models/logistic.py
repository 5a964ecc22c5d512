"""Logistic regression on the pair map: personal through crossed blocks, with one prior variance per group."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.contract.files.deterministic_archives import stable_skops
from components.features import Features
from components.features.categoricals import join_columns
from components.features.npz_records import from_npz, to_npz
from components.interest.model_protocol import CHUNK, Pairs, Tower, tower_logits
from components.interest.models.contrast_errors import contrast_errors
from components.interest.models.fact_effects import FactEffects, RequestFacts, fact_effects
from components.interest.models.feature_blocks import ONE, RowEncoder
from components.interest.models.pair_design import PairMap, Term
from components.interest.models.prior_variance import MIN_VARIANCE, informative_rows, maximise_evidence
from components.interest.request_scorer import TowerScorer, slopes_in_order
from components.settings.errors import UserError
from components.settings.sections import NoSettings

PAIR_MAP_FILE, ESTIMATOR_FILE = "pairs.npz", "logistic.skops"
# types that a stored estimator may contain beyond those that skops trusts: none
TRUSTED_TYPES: tuple[str, ...] = ()
ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class ScaledPairMap:
    """The pair map, and the prior's standard deviation of each weight, float64 [d]; inputs are columns times it.

    variances: float64 [d], the posterior variance of each weight (contrast_errors.py); None in files of releases before
    they were stored.
    """

    pairs: PairMap
    deviations: np.ndarray
    variances: np.ndarray | None = None


@dataclass(frozen=True)
class Logistic:
    """scales: maps a pair to inputs; estimator: an sklearn LogisticRegression fitted on these inputs, with C = 1."""

    scales: ScaledPairMap
    estimator: Any  # sklearn.linear_model.LogisticRegression
    name: str = "logistic"

    @property
    def weights(self) -> np.ndarray:
        """The coefficients on the unscaled columns of the pair map, float64 [d]."""
        weights = np.zeros(len(self.scales.deviations))
        used = np.flatnonzero(self.scales.deviations)
        weights[used] = self.estimator.coef_[0].astype(np.float64) * self.scales.deviations[used]
        return weights

    def logits(self, pairs: Pairs) -> np.ndarray:
        """Log-odds of a click of n pairs, float64 [n]."""
        matrices, slopes = self.scales.pairs.unfold(self.weights)
        left, right = _towers(self.scales.pairs, matrices, pairs)
        logits = tower_logits(left, right, pairs.row, pairs.column) + float(self.estimator.intercept_[0])
        return logits + pairs.values_of(self.scales.pairs.pairs) @ slopes

    def standard_errors(self, pairs: Pairs, decision: np.ndarray) -> np.ndarray:
        """See the protocol; UserError if the model's files are from before the variances were stored."""
        if self.scales.variances is None:
            raise UserError(
                "this interest model was stored by a release that kept no standard errors; train it again, or choose a "
                "policy that needs none"
            )
        return contrast_errors(self.scales.pairs, self.scales.variances, pairs, decision)

    def fact_effects(self, pairs: Pairs, decision: np.ndarray, shown: np.ndarray) -> FactEffects:
        """See fact_effects.py."""
        return fact_effects(self.scales.pairs, self.weights, pairs, decision, shown)

    def request_facts(self, creatives: pd.DataFrame, columns: tuple[str, ...], pairs: tuple[str, ...]) -> RequestFacts:
        """For requests with these columns and pair features: see fact_effects.py."""
        return RequestFacts(self.scales.pairs, self.weights, creatives, columns, pairs)

    def request_scorer(self, creatives: pd.DataFrame, columns: tuple[str, ...], pairs: tuple[str, ...]) -> TowerScorer:
        """For requests with these columns and pair features: see request_scorer.py."""
        pair_map = self.scales.pairs
        matrices, slopes = pair_map.unfold(self.weights)
        terms, encoder = _ActiveTerms.of(pair_map, matrices), RowEncoder(pair_map.left, columns)
        return TowerScorer(
            lambda request: terms.left_tower(encoder.encode(request)),
            terms.right_tower(creatives),
            float(self.estimator.intercept_[0]),
            slopes_in_order(slopes, pair_map.pairs, pairs),
        )

    def files(self) -> dict[str, bytes]:
        """File name -> bytes: the pair map as npz, the estimator as skops."""
        import skops.io

        return {PAIR_MAP_FILE: to_npz(self.scales), ESTIMATOR_FILE: stable_skops(skops.io.dumps(self.estimator))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Logistic":
        """The model that `files` wrote. Raises UserError if a file is missing, damaged or holds untrusted types."""
        import skops.io

        try:
            scales = from_npz(ScaledPairMap, files[PAIR_MAP_FILE])
            return cls(scales, skops.io.loads(files[ESTIMATOR_FILE], trusted=list(TRUSTED_TYPES)))
        except KeyError as error:
            raise UserError(f"a logistic interest model lacks {error.args[0]}") from None
        except (TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{ESTIMATOR_FILE} is not a logistic interest model: {error}") from None


def train_logistic(features: Features, training: Pairs, click: np.ndarray, config: NoSettings, seed: int) -> Logistic:
    """The model of training pairs and clicks 0/1 [n]: prior variances by evidence, then coefficients from all rows."""
    from sklearn.linear_model import LogisticRegression

    pairs = PairMap.fit(features, training.impressions, training.names)
    informative = informative_rows(click, seed)
    priors = maximise_evidence(
        _design(pairs, training, informative), click[informative], pairs.groups, float(click.mean())
    )
    deviations = np.where(priors.variances > MIN_VARIANCE, np.sqrt(priors.variances), 0.0)
    # scikit-learn needs a column: if every group is off, one with a negligible prior leaves the base rate alone
    deviations[0] = max(deviations[0], np.sqrt(MIN_VARIANCE))
    used = np.flatnonzero(deviations)
    estimator = LogisticRegression(C=1.0, solver="lbfgs", max_iter=300, tol=1e-7, warm_start=True)
    # the coefficients at the evidence's maximum are nearly right: starting there saves most passes over the rows
    estimator.coef_ = (priors.weights[used] / deviations[used])[None, :]
    estimator.intercept_ = np.array([priors.intercept])
    inputs = _inputs(pairs, training, deviations, used)
    estimator.fit(inputs, click)
    variances = np.zeros(len(deviations))
    variances[used] = deviations[used] ** 2 / _precisions(inputs, estimator.predict_proba(inputs)[:, 1])
    return Logistic(ScaledPairMap(pairs, deviations, np.round(variances, 12)), estimator)


def _precisions(inputs, probability: np.ndarray) -> np.ndarray:
    """Posterior precision of each coefficient on sparse inputs [n, used], whose prior's is 1: float64 [used].

    The diagonal of the Hessian, 1 + sum p (1 - p) x^2 (Chapelle and Li 2011, algorithm 3).
    """
    return 1.0 + inputs.power(2).T @ (probability * (1.0 - probability))


def _design(pairs: PairMap, training: Pairs, rows: np.ndarray) -> np.ndarray:
    """The design columns of the pairs `rows`, int64 [n]: float32 [n, d]."""
    impressions = training.impressions.iloc[training.row[rows]]
    return pairs.design(impressions, training.creatives.iloc[training.column[rows]], training.values[rows])


def _inputs(pairs: PairMap, training: Pairs, deviations: np.ndarray, used: np.ndarray):
    """The columns `used` of all training pairs times their prior's deviation, sparse [n, used]."""
    from scipy.sparse import csr_array, vstack

    scale = deviations[used].astype(np.float32)
    blocks = [
        csr_array(
            _design(pairs, training, np.arange(start, min(start + ROWS_AT_ONCE, len(training.row))))[:, used] * scale
        )
        for start in range(0, len(training.row), ROWS_AT_ONCE)
    ]
    return vstack(blocks).tocsr()


def _towers(pairs: PairMap, matrices: tuple[np.ndarray, ...], scored: Pairs) -> tuple[Tower, Tower]:
    """Equation (1) of the pair map as two towers: the left vectors are x' W, the right ones the crossed blocks of z."""
    terms = _ActiveTerms.of(pairs, matrices)
    chunks = [
        terms.left_tower(pairs.left.encode(scored.impressions.iloc[start : start + CHUNK], terms.left_blocks))
        for start in range(0, len(scored.impressions), CHUNK)
    ]
    left = Tower(np.concatenate([chunk.vectors for chunk in chunks]), np.concatenate([chunk.bias for chunk in chunks]))
    return left, terms.right_tower(scored.creatives)


@dataclass(frozen=True)
class _ActiveTerms:
    """The terms of a pair map with a weight other than 0; the others' products and blocks are not computed.

    crossed: the creatives' blocks that are crossed with a block of the impression.
    """

    pairs: PairMap
    weighted: tuple[tuple[Term, np.ndarray], ...]
    crossed: tuple[str, ...]

    @classmethod
    def of(cls, pairs: PairMap, matrices: tuple[np.ndarray, ...]) -> "_ActiveTerms":
        """Of the matrices [k_left, k_right] of `pairs.unfold`; those of crosses as float32."""
        active = [(term, matrix) for term, matrix in zip(pairs.terms, matrices, strict=True) if matrix.any()]
        crosses = [term for term, _ in active if ONE not in (term.left, term.right)]
        weighted = tuple((term, matrix.astype(np.float32) if term in crosses else matrix) for term, matrix in active)
        return cls(pairs, weighted, tuple(dict.fromkeys(term.right for term in crosses)))

    @property
    def left_blocks(self) -> tuple[str, ...]:
        """The impressions' blocks that `left_tower` needs."""
        return tuple(term.left for term, _ in self.weighted)

    def left_tower(self, x: Mapping[str, np.ndarray]) -> Tower:
        """The tower of n impressions, from their blocks float32 [n, k]."""
        count = len(x[ONE])
        bias = np.zeros(count)
        vectors = {name: np.zeros((count, self.pairs.right.width(name)), dtype=np.float32) for name in self.crossed}
        for term, matrix in self.weighted:
            if term.right == ONE:
                bias += x[term.left] @ matrix[:, 0]
            elif term.left != ONE:
                vectors[term.right] += x[term.left] @ matrix
        return Tower(join_columns([vectors[name] for name in self.crossed], count), bias)

    def right_tower(self, creatives: pd.DataFrame) -> Tower:
        """The tower of feature rows of creatives."""
        z = self.pairs.right.encode(creatives, tuple(term.right for term, _ in self.weighted))
        bias = np.zeros(len(creatives))
        for term, matrix in self.weighted:
            if term.left == ONE:
                bias += z[term.right] @ matrix[0]
        return Tower(join_columns([z[name] for name in self.crossed], len(bias)), bias)
