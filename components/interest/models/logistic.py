"""Logistic regression on the pair map: linear, personal through crosses, shrunk group by group."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.contract.files.deterministic_archives import stable_skops
from components.features import Features
from components.features.categoricals import side_by_side
from components.features.npz_records import from_npz, to_npz
from components.interest.model_protocol import CHUNK, Pairs, Tower, meet
from components.interest.models.feature_blocks import ONE
from components.interest.models.pair_design import PairMap, Term
from components.interest.models.prior_variance import LEAST, informative_rows, maximise_evidence
from components.settings.errors import UserError
from components.settings.sections import NoSettings

MAP, ESTIMATOR = "pairs.npz", "logistic.skops"
# what a stored estimator may be made of beyond what skops itself trusts: nothing
TRUSTED: tuple[str, ...] = ()
ROWS = 8192


@dataclass(frozen=True)
class Scales:
    """The pair map, and the standard deviation of each coefficient's prior, float64 [d] (inputs: columns times it)."""

    pairs: PairMap
    deviations: np.ndarray


@dataclass(frozen=True)
class Logistic:
    """scales: how a pair becomes inputs; estimator: a fitted sklearn LogisticRegression over them, with C = 1."""

    scales: Scales
    estimator: object
    name: str = "logistic"

    @property
    def weights(self) -> np.ndarray:
        """float64 [d], the coefficients on the pair map's own columns."""
        weights = np.zeros(len(self.scales.deviations))
        used = np.flatnonzero(self.scales.deviations)
        weights[used] = self.estimator.coef_[0].astype(np.float64) * self.scales.deviations[used]
        return weights

    def logits(self, pairs: Pairs) -> np.ndarray:
        """n pairs -> log-odds of a click, float64 [n]."""
        matrices, slopes = self.scales.pairs.unfold(self.weights)
        left, right = _towers(self.scales.pairs, matrices, pairs)
        logits = meet(left, right, pairs.row, pairs.column) + float(self.estimator.intercept_[0])
        return logits + pairs.valued(self.scales.pairs.pairs) @ slopes

    def files(self) -> dict[str, bytes]:
        """The pair map as npz, the estimator as skops."""
        import skops.io

        return {MAP: to_npz(self.scales), ESTIMATOR: stable_skops(skops.io.dumps(self.estimator))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Logistic":
        """What `files` wrote -> model. Raises UserError where a file is missing or holds types we do not trust."""
        import skops.io

        try:
            scales = from_npz(Scales, files[MAP])
            return cls(scales, skops.io.loads(files[ESTIMATOR], trusted=list(TRUSTED)))
        except KeyError as error:
            raise UserError(f"a logistic interest model lacks {error.args[0]}") from None
        except (TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{ESTIMATOR} is no logistic interest model: {error}") from None


def train_logistic(features: Features, taught: Pairs, click: np.ndarray, config: NoSettings, seed: int) -> Logistic:
    """The training pairs and their clicks 0/1 [n] -> model: priors by evidence, then coefficients from every row."""
    from sklearn.linear_model import LogisticRegression

    pairs = PairMap.fit(features, taught.impressions, taught.names)
    telling = informative_rows(click, seed)
    found = maximise_evidence(_design(pairs, taught, telling), click[telling], pairs.groups, float(click.mean()))
    deviations = np.where(found.variances > LEAST, np.sqrt(found.variances), 0.0)
    # scikit-learn wants a column: where every group is off, one of no weight keeps the model its base rate
    deviations[0] = max(deviations[0], np.sqrt(LEAST))
    used = np.flatnonzero(deviations)
    estimator = LogisticRegression(C=1.0, solver="lbfgs", max_iter=300, tol=1e-7, warm_start=True)
    # the evidence's own coefficients are nearly right already: starting there saves most of the passes over the rows
    estimator.coef_ = (found.weights[used] / deviations[used])[None, :]
    estimator.intercept_ = np.array([found.intercept])
    return Logistic(Scales(pairs, deviations), estimator.fit(_inputs(pairs, taught, deviations, used), click))


def _design(pairs: PairMap, taught: Pairs, rows: np.ndarray) -> np.ndarray:
    """Numbers of pairs [n] -> float32 [n, d]."""
    impressions = taught.impressions.iloc[taught.row[rows]]
    return pairs.design(impressions, taught.creatives.iloc[taught.column[rows]], taught.values[rows])


def _inputs(pairs: PairMap, taught: Pairs, deviations: np.ndarray, used: np.ndarray):
    """All training pairs -> the used columns times their prior's deviation, sparse float64 [n, used]."""
    from scipy.sparse import csr_array, vstack

    scale = deviations[used].astype(np.float32)
    blocks = [
        csr_array(_design(pairs, taught, np.arange(start, min(start + ROWS, len(taught.row))))[:, used] * scale)
        for start in range(0, len(taught.row), ROWS)
    ]
    return vstack(blocks).tocsr()


def _towers(pairs: PairMap, matrices: tuple[np.ndarray, ...], asked: Pairs) -> tuple[Tower, Tower]:
    """Equation (1) of the pair map as two towers: x' W over the creative's crossed blocks against those blocks."""
    # terms that the evidence has switched off cost nothing here: neither their products nor their blocks are made
    live = tuple((term, matrix) for term, matrix in zip(pairs.terms, matrices, strict=True) if matrix.any())
    met = tuple(dict.fromkeys(term.right for term, _ in live if ONE not in (term.left, term.right)))
    z = pairs.right.encode(asked.creatives, tuple(term.right for term, _ in live))
    bias = np.zeros(len(asked.creatives))
    for term, matrix in live:
        if term.left == ONE:
            bias += z[term.right] @ matrix[0]
    right = Tower(side_by_side([z[name] for name in met], len(bias)), bias)
    parts = [
        _left_tower(pairs, live, met, asked.impressions.iloc[start : start + CHUNK])
        for start in range(0, len(asked.impressions), CHUNK)
    ]
    left = Tower(np.concatenate([part.vectors for part in parts]), np.concatenate([part.bias for part in parts]))
    return left, right


def _left_tower(
    pairs: PairMap, live: tuple[tuple[Term, np.ndarray], ...], met: tuple[str, ...], rows: pd.DataFrame
) -> Tower:
    x = pairs.left.encode(rows, tuple(term.left for term, _ in live))
    bias = np.zeros(len(rows))
    vectors = {name: np.zeros((len(rows), pairs.right.width(name)), dtype=np.float32) for name in met}
    for term, matrix in live:
        if term.right == ONE:
            bias += x[term.left] @ matrix[:, 0]
        elif term.left != ONE:
            vectors[term.right] += x[term.left] @ matrix.astype(np.float32)
    return Tower(side_by_side([vectors[name] for name in met], len(rows)), bias)
