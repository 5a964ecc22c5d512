"""The interface of text encoders for the caption parser; there are hashed words and a pretrained encoder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from components.generators.text_to_image.hashed_encoder import HashedWords
from components.generators.text_to_image.sentence_encoder import MODEL, TOKENIZER, SentenceEncoder


class TextEncoder(Protocol):
    """Encodes texts, and defines the network on the codes and its training batches. width: numbers per text."""

    width: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[n, width], the codes of n texts; each depends on its text only."""
        ...

    def network(self, outputs: int) -> Any:
        """An untrained keras.Model from codes (B, width) to log-odds (B, outputs)."""
        ...

    def training_batches(
        self, texts: Sequence[str], asked: np.ndarray, nothing: np.ndarray, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless batches of codes [b, width] and labels int32 [b, k], from n texts with labels `asked` int32 [n, k].

        nothing: int32 [k], the labels of meaningless texts, which are a part of each batch.
        """
        ...

    def files(self) -> dict[str, bytes]:
        """File name -> bytes, from which `text_encoder` makes the encoder again."""
        ...


HASHED = HashedWords()


def text_encoder(files: Mapping[str, bytes]) -> TextEncoder:
    """The pretrained encoder in `files`, or hashed words without one; UserError if a file is missing or damaged."""
    return SentenceEncoder.from_files(files) if {TOKENIZER, MODEL} & set(files) else HASHED
