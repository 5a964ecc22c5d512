"""Searches and titles, English or Chinese -> short dense vectors: TF-IDF reduced by truncated SVD.

Latent semantic analysis (Deerwester et al. 1990): texts that share terms, or whose terms keep the same company, lie
close.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

# scripts written without spaces between words (Han, kana, Hangul, Thai): cut into single characters and pairs
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
RUNS = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+")
PART = "#"  # marks a piece of a word, so that a reader's list of terms can leave it out


@dataclass(frozen=True)
class TextSpace:
    """What a text's terms mean.

    vocabulary: the kept terms, ascending; weights: float64 [v], inverse document frequency; directions: float64 [v, d].
    """

    vocabulary: tuple[str, ...]
    weights: np.ndarray
    directions: np.ndarray

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self.directions.shape[1]

    @classmethod
    def fit(cls, texts: Iterable[str], dimensions: int, seed: int, most: int = 8192) -> "TextSpace | None":
        """Distinct texts -> space of at most `dimensions` axes; None where they share too few terms to span one."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        documents = sorted(set(texts))
        if not any(terms(text) for text in documents):
            return None
        vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True, max_features=most)
        weighted = vectorizer.fit_transform(documents)  # (documents, v), rows of length 1
        axes = min(dimensions, *(side - 1 for side in weighted.shape))
        if axes < 1:
            return None
        reducer = TruncatedSVD(axes, random_state=seed).fit(weighted)
        vocabulary = tuple(str(term) for term in vectorizer.get_feature_names_out())
        return cls(vocabulary, vectorizer.idf_, np.round(reducer.components_.T, 9))

    def embed(self, texts: pd.Series) -> np.ndarray:
        """texts [n] -> float64 [n, d], of length 1; zeros for a null or a text with no known term."""
        codes, vectors = self.distinct(texts)
        return vectors[codes]

    def distinct(self, texts: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """texts [n] -> row int64 [n] of each in the vectors of the distinct ones, float64 [r, d]; `embed` in two parts.

        A million searches are a few thousand texts, and n vectors would fill the memory.
        """
        codes, distinct = pd.factorize(texts)
        vectors = np.zeros((len(distinct) + 1, self.dimensions))  # the last row answers for nulls (code -1)
        if len(distinct):
            vectors[:-1] = self.tfidf(distinct) @ self.directions
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)
        return np.where(codes < 0, len(distinct), codes), vectors

    def tfidf(self, texts: Iterable[str]):
        """texts [n] -> sparse float64 [n, v], each row of length 1 (0 where no term is known)."""
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize

        counter = CountVectorizer(analyzer=terms, vocabulary=list(self.vocabulary), dtype=np.float64)
        counts = csr_array(counter.transform([str(text) for text in texts]))
        counts.data = 1.0 + np.log(counts.data)
        return csr_array(normalize(counts.multiply(self.weights[None, :]).tocsr()))


def terms(text: str) -> list[str]:
    """A text -> its terms: words with their three-letter pieces; characters and pairs where a script has no spaces.

    `Red shoes` shares `#sho` with `shoe`, and 红色连衣裙 shares 连衣 with 连衣裙, which splitting on spaces would miss.
    """
    found: list[str] = []
    for run in RUNS.findall(unicodedata.normalize("NFKC", text).lower()):
        if re.match(rf"[{UNSPACED}]", run):
            found.extend(run)
            found.extend(run[start : start + 2] for start in range(len(run) - 1))
        else:
            found.append(run)
            found.extend(PART + run[start : start + 3] for start in range(len(run) - 2))
    return found
