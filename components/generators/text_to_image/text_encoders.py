"""What turns captions into numbers that a network can learn to read: Adloom's own hashing, or a pretrained encoder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from components.generators.text_to_image.hashed_encoder import HashedWords
from components.generators.text_to_image.sentence_encoder import MODEL, TOKENIZER, SentenceEncoder


class Encoder(Protocol):
    """Encodes texts, and says how a network is taught to read them. width: numbers per text."""

    width: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> [n, width], each by its text alone."""
        ...

    def network(self, outputs: int) -> Any:
        """A keras.Model yet to be trained, from what `encode` gives (B, width) to log-odds (B, outputs)."""
        ...

    def lessons(
        self, texts: Sequence[str], asked: np.ndarray, nothing: np.ndarray, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """n texts and int32 [n, k], what each asks for -> batches without end: [b, width] and int32 [b, k].

        nothing: int32 [k], what a text asks for that means nothing; some of the batches' are of that kind.
        """
        ...

    def files(self) -> dict[str, bytes]:
        """What `encoder` needs to make it again."""
        ...


HASHED = HashedWords()


def encoder(files: Mapping[str, bytes]) -> Encoder:
    """The pretrained encoder in `files`, or the hashing where they hold none. UserError where it is not whole."""
    return SentenceEncoder.from_files(files) if {TOKENIZER, MODEL} & set(files) else HASHED
