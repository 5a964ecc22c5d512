"""A caption, English or Chinese -> what it asks for: a tokenizer without a vocabulary and an attention encoder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import keras
import numpy as np
from keras import layers, ops

from components.creatives.captions import Caption, all_captions, split_captions
from components.creatives.recipe import Player, Recipe
from components.errors import UserError
from components.interest.starts import draw_start

BUCKETS, LENGTH, WIDTH = 4096, 96, 48
LONGEST = 200  # characters that are read; what follows is ignored
SURE = 0.5  # probability of the category below which a caption counts as not understood
STEPS, BATCH = 400, 128
CHATTY = 0.3  # share of the captions in training that go on in words that mean nothing


@dataclass(frozen=True)
class Wish:
    """What a caption asks for: codes of category, tone and build, and how sure the reader is of the category."""

    category: int
    tone: int
    build: int
    confidence: float


@dataclass(frozen=True)
class Reader:
    """network: tokens int32 (B, LENGTH) -> log-odds (B, categories + 1 + 3 + 3); the extra category means none."""

    network: keras.Model
    categories: tuple[str, ...]

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
        outputs = ops.convert_to_numpy(self.network(np.stack([tokens(text) for text in texts]), training=False))
        odds = np.split(outputs.astype(np.float64), [len(self.categories) + 1, len(self.categories) + 4], axis=1)
        category = np.exp(odds[0] - odds[0].max(axis=1, keepdims=True))
        category /= category.sum(axis=1, keepdims=True)
        return [
            Wish(int(sure.argmax()), int(tone.argmax()), int(build.argmax()), float(sure.max()))
            for sure, tone, build in zip(category, odds[1], odds[2], strict=True)
        ]


def tokens(text: str) -> np.ndarray:
    """Text -> int32 [LENGTH], hashed pieces, each once, 0: none. Words and letter triples; Chinese signs and pairs."""
    pieces: list[str] = []
    for run in re.findall(r"[\u3400-\u9fff]+|[a-z0-9]+", text[:LONGEST].lower()):
        if run[0] >= "\u3400":
            pieces += list(run) + [run[place : place + 2] for place in range(len(run) - 1)]
        else:
            framed = f"<{run}>"
            pieces += [framed] + [framed[place : place + 3] for place in range(len(framed) - 2)]
    codes = [1 + crc32(piece.encode()) % (BUCKETS - 1) for piece in [*dict.fromkeys(pieces)][:LENGTH]]
    return np.array(codes + [0] * (LENGTH - len(codes)), dtype=np.int32)


def train_reader(categories: tuple[str, ...], seed: int, steps: int = STEPS) -> tuple[Reader, tuple[Caption, ...]]:
    """Category names -> a reader of captions about them, and the wordings that it never saw."""
    seen, held_out = split_captions(all_captions(categories), seed)
    network = _network(len(categories))
    draw_start(seed, network)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(network.trainable_variables)

    def loss(batch):
        odds = network(batch["tokens"])
        parts = (odds[:, : len(categories) + 1], odds[:, len(categories) + 1 : -3], odds[:, -3:])
        losses = [
            keras.losses.sparse_categorical_crossentropy(batch[name], part, from_logits=True)
            for name, part in zip(("category", "tone", "build"), parts, strict=True)
        ]
        return ops.mean(sum(losses)), {}

    _train(
        Recipe({"reader": network}, (Player("loss", tuple(network.trainable_variables), optimizer, loss),), ()),
        seen,
        seed,
        steps,
    )
    return Reader(network, categories), held_out


def _network(categories: int) -> keras.Model:
    """Tokens (B, T) -> each piece weighs itself against the others (Bahdanau et al. 2015); their mean is read off."""
    codes = keras.Input((LENGTH,), dtype="int32")
    present = ops.cast(ops.not_equal(codes, 0), "float32")  # (B, T)
    embedded = layers.Embedding(BUCKETS, WIDTH)(codes)  # (B, T, WIDTH)
    mixed = layers.Dense(WIDTH, activation="tanh")(embedded)
    scores = layers.Reshape((LENGTH,))(layers.Dense(1)(mixed)) - 1e9 * (1.0 - present)
    weights = layers.Reshape((LENGTH, 1))(layers.Softmax()(scores) * present)
    pooled = ops.sum(weights * embedded, axis=1)  # (B, WIDTH)
    strongest = ops.max(mixed * ops.expand_dims(present, 2), axis=1)  # one small word may decide
    hidden = layers.Dense(96, activation="relu")(layers.Concatenate()([pooled, strongest]))
    return keras.Model(codes, layers.Dense(categories + 1 + 3 + 3)(hidden))


def _train(recipe: Recipe, captions: tuple[Caption, ...], seed: int, steps: int) -> None:
    """Steps on captions, a tenth of them replaced by gibberish that must read as no category, some followed by it."""
    from components.creatives.step import compile_steps

    train = compile_steps(recipe)
    random = np.random.default_rng(seed)
    table = np.stack([tokens(caption.text) for caption in captions])
    labels = np.array([(caption.category, caption.tone, caption.build) for caption in captions], dtype=np.int32)
    none = labels[:, 0].max() + 1
    for _ in range(steps):
        rows = random.integers(0, len(captions), BATCH)
        codes, asked = table[rows], labels[rows]
        strange = random.random(BATCH) < 0.1
        lengths = random.integers(1, 30, BATCH)[:, None]
        gibberish = np.where(np.arange(LENGTH) < lengths, random.integers(1, BUCKETS, (BATCH, LENGTH)), 0)
        codes = np.where(strange[:, None], gibberish, codes).astype(np.int32)
        asked = np.where(strange[:, None], (none, 0, 0), asked).astype(np.int32)
        # people say more than a caption does: strange pieces stand behind some of the captions
        chatty = (random.random(BATCH) < CHATTY)[:, None] & (codes == 0) & (np.arange(LENGTH) < 3 * lengths)
        codes = np.where(chatty, random.integers(1, BUCKETS, codes.shape), codes)
        # pieces drop out, so that no single one is relied upon
        codes = np.where(random.random(codes.shape) < 0.1, 0, codes).astype(np.int32)
        columns = {"tokens": codes, "category": asked[:, 0], "tone": asked[:, 1], "build": asked[:, 2]}
        train({name: values[None, None] for name, values in columns.items()})
