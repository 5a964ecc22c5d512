"""Embed searches and titles, in English or Chinese, as short dense vectors: TF-IDF reduced by truncated SVD.

Latent semantic analysis (Deerwester et al. 1990): texts with common terms, or with terms that occur together, are near.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

# scripts without spaces between words (Han, kana, Hangul, Thai), split into characters and pairs of characters
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
RUNS = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+")
WORD_PART = "#"  # begins a piece of a word, so that lists for people can leave it out


@dataclass(frozen=True)
class TextSpace:
    """The fitted embedding. vocabulary: v terms, ascending; weights: float64 [v], inverse document frequencies;
    directions: float64 [v, d]."""

    vocabulary: tuple[str, ...]
    weights: np.ndarray
    directions: np.ndarray

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.directions.shape[1]

    @classmethod
    def fit(cls, texts: Iterable[str], dimensions: int, seed: int, most: int = 8192) -> "TextSpace | None":
        """The embedding in at most `dimensions` axes, fitted on distinct texts; None if they share too few terms."""
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
        """float64 [n, d], embeddings of length 1 of texts [n]; zeros for null or a text without known terms."""
        codes, vectors = self.distinct(texts)
        return vectors[codes]

    def distinct(self, texts: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of the distinct texts, float64 [r, d], and the row int64 [n] of each text in them.

        A million searches have a few thousand distinct texts, and n embeddings would fill the memory.
        """
        codes, distinct = pd.factorize(texts)
        vectors = np.zeros((len(distinct) + 1, self.dimensions))  # the last row is for null (code -1)
        if len(distinct):
            vectors[:-1] = self.tfidf(distinct) @ self.directions
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)
        return np.where(codes < 0, len(distinct), codes), vectors

    def tfidf(self, texts: Iterable[str]):
        """TF-IDF weights of texts [n], sparse float64 [n, v]; rows have length 1, or 0 without known terms."""
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize

        counter = CountVectorizer(analyzer=terms, vocabulary=list(self.vocabulary), dtype=np.float64)
        counts = csr_array(counter.transform([str(text) for text in texts]))
        counts.data = 1.0 + np.log(counts.data)
        return csr_array(normalize(counts.multiply(self.weights[None, :]).tocsr()))


def terms(text: str) -> list[str]:
    """The terms of a text: words and their three-letter pieces; characters and pairs in a script without spaces.

    `Red shoes` shares `#sho` with `shoe`, and 红色连衣裙 shares 连衣 with 连衣裙; splitting on spaces would miss both.
    """
    parts: list[str] = []
    for run in RUNS.findall(unicodedata.normalize("NFKC", text).lower()):
        if re.match(rf"[{UNSPACED}]", run):
            parts.extend(run)
            parts.extend(run[start : start + 2] for start in range(len(run) - 1))
        else:
            parts.append(run)
            parts.extend(WORD_PART + run[start : start + 3] for start in range(len(run) - 2))
    return parts
