"""A caption, English or Chinese -> what it asks for: a text encoder and a network that is taught derived captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import keras
import numpy as np
from keras import ops

from components.generators.keras_generator import network_bytes, network_from_bytes
from components.generators.text_to_image.captions import Caption, all_captions, split_captions
from components.generators.text_to_image.text_encoders import HASHED, Encoder, encoder
from components.generators.training.recipe import Player, Recipe
from components.interest.models.keras_init import draw_initial_weights
from components.settings.errors import UserError

READER = "reader.keras"
LONGEST = 200  # characters that are read; what follows is ignored
SURE = 0.5  # probability of the category below which a caption counts as not understood
STEPS = 400
PARTS = ("category", "tone", "build")


@dataclass(frozen=True)
class Wish:
    """What a caption asks for: codes of category, tone and build, and how sure the reader is of the category."""

    category: int
    tone: int
    build: int
    confidence: float


@dataclass(frozen=True)
class Reader:
    """network: what `encoder` gives (B, width) -> log-odds (B, categories + 1 + 3 + 3); the extra category is none."""

    network: keras.Model
    categories: tuple[str, ...]
    encoder: Encoder = HASHED

    def read(self, text: str) -> Wish:
        """One caption -> the wish in it. Raises UserError where it is empty or nothing in it is understood."""
        if not text.strip():
            raise UserError("the text is empty: say what the picture should show, such as 'a dark ankle boot'")
        wish = self.read_all([text])[0]
        if wish.category == len(self.categories) or wish.confidence < SURE:
            raise UserError(f"no category is understood in {text[:40]!r}; known are {', '.join(self.categories)}")
        return wish

    def read_all(self, texts: Sequence[str]) -> list[Wish]:
        """Captions -> wishes, without a check."""
        encoded = self.encoder.encode([text[:LONGEST] for text in texts])
        outputs = ops.convert_to_numpy(self.network(encoded, training=False))
        odds = np.split(outputs.astype(np.float64), [len(self.categories) + 1, len(self.categories) + 4], axis=1)
        category = np.exp(odds[0] - odds[0].max(axis=1, keepdims=True))
        category /= category.sum(axis=1, keepdims=True)
        return [
            Wish(int(sure.argmax()), int(tone.argmax()), int(build.argmax()), float(sure.max()))
            for sure, tone, build in zip(category, odds[1], odds[2], strict=True)
        ]

    def files(self) -> dict[str, bytes]:
        """The network, and what its encoder needs."""
        return {READER: network_bytes(self.network), **self.encoder.files()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], categories: tuple[str, ...]) -> "Reader":
        """What `files` gave -> the same; KeyError without a network, UserError where a file is something else."""
        network, read = network_from_bytes(files[READER]), encoder(files)
        if network.input_shape[-1] != read.width:
            raise UserError(f"{READER} takes {network.input_shape[-1]} numbers of a text, its encoder has {read.width}")
        return cls(network, categories, read)


def train_reader(
    categories: tuple[str, ...], seed: int, steps: int = STEPS, encoder: Encoder = HASHED
) -> tuple[Reader, tuple[Caption, ...]]:
    """Category names -> a reader of captions about them, and the wordings that it never saw."""
    from components.generators.training.gradient_step import compile_steps

    seen, held_out = split_captions(all_captions(categories), seed)
    network = encoder.network(len(categories) + 1 + 3 + 3)
    draw_initial_weights(seed, network)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(network.trainable_variables)

    def loss(batch):
        odds = network(batch["texts"])
        parts = (odds[:, : len(categories) + 1], odds[:, len(categories) + 1 : -3], odds[:, -3:])
        losses = [
            keras.losses.sparse_categorical_crossentropy(batch[name], part, from_logits=True)
            for name, part in zip(PARTS, parts, strict=True)
        ]
        return ops.mean(sum(losses)), {}

    player = Player("loss", tuple(network.trainable_variables), optimizer, loss)
    train = compile_steps(Recipe({"reader": network}, (player,), ()))
    asked = np.array([[getattr(caption, name) for name in PARTS] for caption in seen], dtype=np.int32)
    nothing = np.array([len(categories), 0, 0], dtype=np.int32)
    lessons = encoder.lessons([caption.text for caption in seen], asked, nothing, seed)
    for texts, due in islice(lessons, steps):
        columns = {"texts": texts, **dict(zip(PARTS, due.T, strict=True))}
        train({name: values[None, None] for name, values in columns.items()})
    return Reader(network, categories, encoder), held_out


def read_right(reader: Reader, captions: Sequence[Caption]) -> dict[str, float]:
    """Language -> share of its captions of which category, tone and build are read right; both in [0, 1].

    A language without captions is left out.
    """
    right: dict[str, list[bool]] = {}
    for wish, caption in zip(reader.read_all([caption.text for caption in captions]), captions, strict=True):
        language = "English" if caption.text.isascii() else "Chinese"
        same = all(getattr(wish, name) == getattr(caption, name) for name in PARTS)
        right.setdefault(language, []).append(same)
    return {language: float(np.mean(found)) for language, found in right.items()}
