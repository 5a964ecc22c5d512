"""A pretrained, frozen text encoder in the usual form: `tokenizer.json` and `model.onnx`.

The package `tokenizers` reads the first, `onnxruntime` runs the second on the CPU. Vectors are as in
sentence-transformers: the mean over the tokens, or the model's pooled output, scaled to length 1.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers

from components.settings.errors import UserError

TOKENIZER, MODEL = "tokenizer.json", "model.onnx"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
KINDS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
# in order of preference: pooled outputs, then outputs by token
OUTPUTS = ("sentence_embedding", "text_embeds", "last_hidden_state", "token_embeddings", "pooler_output")
TOKENS = 64  # that are read of a text; every published encoder takes so many
BATCH, BLOCK = 128, 256  # captions in a step of training; texts in one run of the encoder
HIDDEN = 128
MEANINGLESS_SHARE, FILLER_SHARE = (
    0.1,
    0.3,
)  # shares of the training_batches that ask for nothing, and of captions that go on in such words
MEANINGLESS_TEXTS = 1000  # texts that ask for nothing
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


@dataclass(frozen=True)
class SentenceEncoder:
    """See `TextEncoder`. content: the two files; output: name of the model's output, of `width` numbers per text."""

    content: Mapping[str, bytes]
    tokenizer: Any  # tokenizers.Tokenizer
    session: Any  # onnxruntime.InferenceSession
    output: str
    width: int

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "SentenceEncoder":
        """The encoder in `tokenizer.json` and `model.onnx`, tried on two texts.

        UserError if a package is not installed, or a file is missing, damaged or of another form.
        """
        try:
            content = {name: files[name] for name in (TOKENIZER, MODEL)}
        except KeyError as error:
            raise UserError(f"a text encoder is {TOKENIZER} and {MODEL}; {error} is missing") from None
        tokenizer, session = _tokenizer(content[TOKENIZER]), _session(content[MODEL])
        trial = cls(content, tokenizer, session, _output(session), 0)
        return replace(trial, width=trial._tested_width())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, width], vectors of length 1 of n texts, or zeros for a text without tokens."""
        tokens = self._tokens(texts)
        lengths = np.array([len(ids) for ids in tokens])
        vectors = np.zeros((len(texts), self.width), np.float32)
        # texts of equal length together, without padding, so that no vector depends on the other texts
        for length in np.unique(lengths[lengths > 0]):
            rows = np.flatnonzero(lengths == length)
            for part in np.array_split(rows, -(-len(rows) // BLOCK)):
                pooled = self._pooled(np.array([tokens[row] for row in part]))
                vectors[part] = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return vectors

    def network(self, outputs: int) -> keras.Model:
        """A network with one hidden layer from vectors (B, width) to log-odds (B, outputs)."""
        vectors = keras.Input((self.width,))
        # scales vectors of length 1 so that each number is about 1
        hidden = layers.Dense(HIDDEN, activation="relu")(vectors * self.width**0.5)
        return keras.Model(vectors, layers.Dense(outputs)(hidden))

    def training_batches(
        self, texts: Sequence[str], asked: np.ndarray, nothing: np.ndarray, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of captions, some followed by meaningless words, and of meaningless texts with labels `nothing`."""
        random = np.random.default_rng(seed)
        nonsense = self._nonsense(texts, random)
        chatty = np.flatnonzero(random.random(len(texts)) < FILLER_SHARE)
        longer = [f"{texts[row]} {nonsense[random.integers(MEANINGLESS_TEXTS)]}" for row in chatty]
        table, due = self.encode([*texts, *longer]), np.concatenate([asked, asked[chatty]])
        unread = self.encode(nonsense)
        while True:
            rows, strange = random.integers(0, len(table), BATCH), random.random((BATCH, 1)) < MEANINGLESS_SHARE
            others = unread[random.integers(0, MEANINGLESS_TEXTS, BATCH)]
            yield np.where(strange, others, table[rows]), np.where(strange, nothing, due[rows]).astype(np.int32)

    def files(self) -> dict[str, bytes]:
        """The two files of the encoder, which become part of a package."""
        return dict(self.content)

    def _nonsense(self, texts: Sequence[str], random: np.random.Generator) -> list[str]:
        """Meaningless texts: words of the tokenizer that are in no caption, and words of random letters."""
        used = {code for codes in self._tokens(texts) for code in codes}
        other = np.array(sorted(set(self.tokenizer.get_vocab().values()) - used), dtype=np.int64)
        made = []
        for number, count in enumerate(random.integers(1, 9, MEANINGLESS_TEXTS)):
            if number % 2 and other.size:
                made.append(self.tokenizer.decode(random.choice(other, count).tolist()))
            else:
                made.append(" ".join("".join(random.choice(LETTERS, random.integers(4, 10))) for _ in range(count)))
        return made

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each of n texts, at most TOKENS."""
        try:
            return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        except Exception as error:  # the package raises Exception if it has no token for unknown words
            raise UserError(f"{TOKENIZER} cannot split a text into tokens: {str(error).splitlines()[0]}") from None

    def _pooled(self, ids: np.ndarray) -> np.ndarray:
        """float32 [b, width], vectors of token ids int [b, t]; without padding, so the mean is over all tokens."""
        values = dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))
        inputs = {node.name: values[node.name].astype(KINDS[node.type]) for node in self.session.get_inputs()}
        (output,) = self.session.run([self.output], inputs)
        output = output.astype(np.float32)
        return output.mean(axis=1) if output.ndim == 3 else output

    def _tested_width(self) -> int:
        """The width of its vectors, from texts in two languages and of two lengths; UserError if the model fails."""
        texts = ("a qxv bag", "深色的手提包，一款浅色连衣裙")  # with a word that no tokenizer knows
        ids = [tokens or [0] for tokens in self._tokens(texts)]
        try:
            vectors = [self._pooled(np.array([tokens, tokens])) for tokens in ids]
        except Exception as error:  # onnxruntime raises exceptions of many kinds
            reason = str(error).splitlines()[0]
            raise UserError(f"{MODEL} does not run on texts of any number and length: {reason}") from None
        shapes = {vector.shape for vector in vectors}
        if len(shapes) > 1 or vectors[0].ndim != 2 or len(vectors[0]) != 2:
            raise UserError(f"{MODEL}: its output {self.output} is neither (texts, tokens, width) nor (texts, width)")
        if not all(np.isfinite(vector).all() for vector in vectors):
            raise UserError(f"{MODEL}: its output {self.output} is not finite")
        return vectors[0].shape[1]


def _tokenizer(content: bytes) -> Any:
    tokenizers, _ = _libraries()
    try:
        tokenizer = tokenizers.Tokenizer.from_str(content.decode())
    except Exception as error:  # the package raises bare Exception
        raise UserError(f"{TOKENIZER} is not a tokenizer: {str(error).splitlines()[0]}") from None
    truncation = tokenizer.truncation or {}
    tokenizer.enable_truncation(min(TOKENS, truncation.get("max_length", TOKENS)))
    tokenizer.no_padding()
    return tokenizer


def _session(content: bytes) -> Any:
    _, onnxruntime = _libraries()
    options = onnxruntime.SessionOptions()
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # errors are raised, so they need no log line
    try:
        with tempfile.TemporaryDirectory() as empty:  # so that weights in other files are not loaded from here
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{MODEL} is not an ONNX model with its weights in one file: {reason}") from None
    for node in session.get_inputs():
        if node.name not in INPUTS or node.type not in KINDS:
            known = f"known are {', '.join(INPUTS)} of whole numbers"
            raise UserError(f"{MODEL} asks for {node.name}, {node.type}; {known}")
    return session


def _output(session: Any) -> str:
    """The name of the output with vectors of texts or tokens: a known name, or the only output."""
    names = [node.name for node in session.get_outputs()]
    known = [name for name in OUTPUTS if name in names] or names
    if known is names and len(names) > 1:
        raise UserError(f"{MODEL} has the outputs {', '.join(names)}; known are {', '.join(OUTPUTS)}")
    return known[0]


def _libraries() -> tuple[Any, Any]:
    """The packages `tokenizers` and `onnxruntime`, needed only for a pretrained text encoder."""
    try:
        import onnxruntime
        import tokenizers
    except ModuleNotFoundError as error:
        raise UserError(
            f"a pretrained text encoder needs the package {error.name}: install the extra `pretrained`"
        ) from None
    return tokenizers, onnxruntime
