"""Parse captions in English or Chinese with a text encoder and a network trained on derived captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import keras
import numpy as np
from keras import ops

from components.generators.keras_generator import network_bytes, network_from_bytes
from components.generators.text_to_image.captions import Caption, all_captions, split_captions
from components.generators.text_to_image.text_encoders import HASHED, TextEncoder, text_encoder
from components.generators.training.recipe import Recipe, TrainableGroup
from components.interest.models.keras_init import draw_initial_weights
from components.settings.errors import UserError

PARSER_FILE = "reader.keras"
MAX_CHARACTERS = 200  # of a caption; the rest is ignored
MIN_CONFIDENCE = 0.5  # a caption whose category has a smaller probability is not understood
STEPS = 400
PARTS = ("category", "tone", "build")


@dataclass(frozen=True)
class ParsedCaption:
    """The request in a caption: codes of category, tone and build, and the probability of the category."""

    category: int
    tone: int
    build: int
    confidence: float


@dataclass(frozen=True)
class CaptionParser:
    """network: encoded texts (B, width) -> log-odds (B, categories + 1 + 3 + 3); the additional category is none."""

    network: keras.Model
    categories: tuple[str, ...]
    encoder: TextEncoder = HASHED

    def parse(self, text: str) -> ParsedCaption:
        """The request in one caption; UserError if it is empty or not understood."""
        if not text.strip():
            raise UserError("the text is empty: describe the image, such as 'a dark ankle boot'")
        parsed = self.parse_all([text])[0]
        if parsed.category == len(self.categories) or parsed.confidence < MIN_CONFIDENCE:
            raise UserError(f"no category is understood in {text[:40]!r}; known are {', '.join(self.categories)}")
        return parsed

    def parse_all(self, texts: Sequence[str]) -> list[ParsedCaption]:
        """The requests in captions, without a check."""
        encoded = self.encoder.encode([text[:MAX_CHARACTERS] for text in texts])
        outputs = ops.convert_to_numpy(self.network(encoded, training=False))
        odds = np.split(outputs.astype(np.float64), [len(self.categories) + 1, len(self.categories) + 4], axis=1)
        category = np.exp(odds[0] - odds[0].max(axis=1, keepdims=True))
        category /= category.sum(axis=1, keepdims=True)
        return [
            ParsedCaption(int(sure.argmax()), int(tone.argmax()), int(build.argmax()), float(sure.max()))
            for sure, tone, build in zip(category, odds[1], odds[2], strict=True)
        ]

    def files(self) -> dict[str, bytes]:
        """File name -> bytes: the network and the files of its encoder."""
        return {PARSER_FILE: network_bytes(self.network), **self.encoder.files()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], categories: tuple[str, ...]) -> "CaptionParser":
        """The parser that `files` wrote; KeyError without a network, UserError for a file with other content."""
        network, read = network_from_bytes(files[PARSER_FILE]), text_encoder(files)
        if network.input_shape[-1] != read.width:
            raise UserError(
                f"{PARSER_FILE} takes {network.input_shape[-1]} numbers of a text, its encoder has {read.width}"
            )
        return cls(network, categories, read)


def train_parser(
    categories: tuple[str, ...], seed: int, steps: int = STEPS, encoder: TextEncoder = HASHED
) -> tuple[CaptionParser, tuple[Caption, ...]]:
    """A parser of captions about these categories, and the captions that were held out of its training."""
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

    group = TrainableGroup("loss", tuple(network.trainable_variables), optimizer, loss)
    train = compile_steps(Recipe({"parser": network}, (group,), ()))
    asked = np.array([[getattr(caption, name) for name in PARTS] for caption in seen], dtype=np.int32)
    nothing = np.array([len(categories), 0, 0], dtype=np.int32)
    training_batches = encoder.training_batches([caption.text for caption in seen], asked, nothing, seed)
    for texts, due in islice(training_batches, steps):
        columns = {"texts": texts, **dict(zip(PARTS, due.T, strict=True))}
        train({name: values[None, None] for name, values in columns.items()})
    return CaptionParser(network, categories, encoder), held_out


def parsing_accuracy(parser: CaptionParser, captions: Sequence[Caption]) -> dict[str, float]:
    """Language -> share in [0, 1] of its captions whose category, tone and build are parsed correctly.

    A language without captions is left out.
    """
    right: dict[str, list[bool]] = {}
    for parsed, caption in zip(parser.parse_all([caption.text for caption in captions]), captions, strict=True):
        language = "English" if caption.text.isascii() else "Chinese"
        same = all(getattr(parsed, name) == getattr(caption, name) for name in PARTS)
        right.setdefault(language, []).append(same)
    return {language: float(np.mean(found)) for language, found in right.items()}
