"""A text encoder without a vocabulary: hashed pieces of words, with an attention network over them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import keras
import numpy as np
from keras import layers, ops

BUCKETS, LENGTH, WIDTH = 4096, 96, 48
BATCH = 128
FILLER_SHARE = 0.3  # share of the captions in training that go on in words that mean nothing


@dataclass(frozen=True)
class HashedWords:
    """See `TextEncoder`. Its network is trained from scratch on the derived captions."""

    width: int = LENGTH

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """int32 [n, LENGTH], the hashed pieces of n texts."""
        return np.stack([_tokens(text) for text in texts])

    def network(self, outputs: int) -> keras.Model:
        """A network on tokens (B, T): attention-weighted mean of embeddings (Bahdanau et al. 2015), and a maximum."""
        codes = keras.Input((LENGTH,), dtype="int32")
        present = ops.cast(ops.not_equal(codes, 0), "float32")  # (B, T)
        embedded = layers.Embedding(BUCKETS, WIDTH)(codes)  # (B, T, WIDTH)
        mixed = layers.Dense(WIDTH, activation="tanh")(embedded)
        scores = layers.Reshape((LENGTH,))(layers.Dense(1)(mixed)) - 1e9 * (1.0 - present)
        weights = layers.Reshape((LENGTH, 1))(layers.Softmax()(scores) * present)
        pooled = ops.sum(weights * embedded, axis=1)  # (B, WIDTH)
        strongest = ops.max(mixed * ops.expand_dims(present, 2), axis=1)  # a single word may decide
        hidden = layers.Dense(96, activation="relu")(layers.Concatenate()([pooled, strongest]))
        return keras.Model(codes, layers.Dense(outputs)(hidden))

    def training_batches(
        self, texts: Sequence[str], asked: np.ndarray, nothing: np.ndarray, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of captions; a tenth is replaced by random pieces with labels `nothing`, and some get more pieces."""
        random = np.random.default_rng(seed)
        table = self.encode(texts)
        while True:
            rows = random.integers(0, len(table), BATCH)
            codes, labels = table[rows], asked[rows]
            strange = random.random(BATCH) < 0.1
            lengths = random.integers(1, 30, BATCH)[:, None]
            gibberish = np.where(np.arange(LENGTH) < lengths, random.integers(1, BUCKETS, (BATCH, LENGTH)), 0)
            codes = np.where(strange[:, None], gibberish, codes).astype(np.int32)
            labels = np.where(strange[:, None], nothing, labels).astype(np.int32)
            # people write more than a caption, so random pieces follow some of the captions
            chatty = (random.random(BATCH) < FILLER_SHARE)[:, None] & (codes == 0) & (np.arange(LENGTH) < 3 * lengths)
            codes = np.where(chatty, random.integers(1, BUCKETS, codes.shape), codes)
            # dropout of pieces, so that the network does not depend on single ones
            yield np.where(random.random(codes.shape) < 0.1, 0, codes).astype(np.int32), labels

    def files(self) -> dict[str, bytes]:
        """No files: the splitting of texts is defined in this module."""
        return {}


def _tokens(text: str) -> np.ndarray:
    """int32 [LENGTH], distinct hashed pieces of a text, 0: none. Words, letter triples; Chinese characters, pairs."""
    pieces: list[str] = []
    for run in re.findall(r"[\u3400-\u9fff]+|[a-z0-9]+", text.lower()):
        if run[0] >= "\u3400":
            pieces += list(run) + [run[place : place + 2] for place in range(len(run) - 1)]
        else:
            framed = f"<{run}>"
            pieces += [framed] + [framed[place : place + 3] for place in range(len(framed) - 2)]
    codes = [1 + crc32(piece.encode()) % (BUCKETS - 1) for piece in [*dict.fromkeys(pieces)][:LENGTH]]
    return np.array(codes + [0] * (LENGTH - len(codes)), dtype=np.int32)
