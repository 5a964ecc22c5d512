"""Captions -> vectors of a pretrained text encoder that stays as it is, in the form in which such encoders are shared.

`tokenizer.json` is read by the package `tokenizers`, `model.onnx` is run by `onnxruntime` on the CPU. Vectors are
sentence-transformers' own: the mean over the tokens, or what the model pools itself, scaled to length 1.
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
# the first that there is: what a model was trained to pool, then what it knows of each token
OUTPUTS = ("sentence_embedding", "text_embeds", "last_hidden_state", "token_embeddings", "pooler_output")
TOKENS = 64  # that are read of a text; every published encoder takes so many
BATCH, BLOCK = 128, 256  # captions in a step of training; texts in one run of the encoder
HIDDEN = 128
STRANGE, CHATTY = 0.1, 0.3  # shares of the lessons that ask for nothing, and of captions that go on in such words
NONSENSE = 1000  # texts that ask for nothing
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


@dataclass(frozen=True)
class SentenceEncoder:
    """See `Encoder`. content: the two files; output: which of the model's is taken, of `width` numbers per text."""

    content: Mapping[str, bytes]
    tokenizer: Any  # tokenizers.Tokenizer
    session: Any  # onnxruntime.InferenceSession
    output: str
    width: int

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "SentenceEncoder":
        """`tokenizer.json` and `model.onnx`, both needed -> the encoder, tried on two texts.

        Raises UserError where a package is not installed, or a file is missing, damaged or of another form.
        """
        try:
            content = {name: files[name] for name in (TOKENIZER, MODEL)}
        except KeyError as error:
            raise UserError(f"a text encoder is {TOKENIZER} and {MODEL}; {error} is missing") from None
        tokenizer, session = _tokenizer(content[TOKENIZER]), _session(content[MODEL])
        trial = cls(content, tokenizer, session, _output(session), 0)
        return replace(trial, width=trial._tried())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> float32 [n, width], each of length 1, or 0 throughout where the tokenizer finds nothing."""
        found = self._tokens(texts)
        lengths = np.array([len(ids) for ids in found])
        vectors = np.zeros((len(texts), self.width), np.float32)
        # texts of equal length together: nothing is padded, so that no vector depends on what is asked beside it
        for length in np.unique(lengths[lengths > 0]):
            rows = np.flatnonzero(lengths == length)
            for part in np.array_split(rows, -(-len(rows) // BLOCK)):
                pooled = self._pooled(np.array([found[row] for row in part]))
                vectors[part] = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return vectors

    def network(self, outputs: int) -> keras.Model:
        """Vectors (B, width) -> one hidden layer -> log-odds (B, outputs)."""
        vectors = keras.Input((self.width,))
        # of length 1 as they come; so scaled, each number is about 1
        hidden = layers.Dense(HIDDEN, activation="relu")(vectors * self.width**0.5)
        return keras.Model(vectors, layers.Dense(outputs)(hidden))

    def lessons(
        self, texts: Sequence[str], asked: np.ndarray, nothing: np.ndarray, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of captions, some with nonsense behind them, and of nonsense alone, which asks for `nothing`."""
        random = np.random.default_rng(seed)
        nonsense = self._nonsense(texts, random)
        chatty = np.flatnonzero(random.random(len(texts)) < CHATTY)
        longer = [f"{texts[row]} {nonsense[random.integers(NONSENSE)]}" for row in chatty]
        table, due = self.encode([*texts, *longer]), np.concatenate([asked, asked[chatty]])
        unread = self.encode(nonsense)
        while True:
            rows, strange = random.integers(0, len(table), BATCH), random.random((BATCH, 1)) < STRANGE
            others = unread[random.integers(0, NONSENSE, BATCH)]
            yield np.where(strange, others, table[rows]), np.where(strange, nothing, due[rows]).astype(np.int32)

    def files(self) -> dict[str, bytes]:
        """The encoder's own two files, so that a package needs no folder beside it."""
        return dict(self.content)

    def _nonsense(self, texts: Sequence[str], random: np.random.Generator) -> list[str]:
        """Words that the tokenizer knows and no caption has, and words of random letters, which it hardly knows."""
        said = {code for codes in self._tokens(texts) for code in codes}
        other = np.array(sorted(set(self.tokenizer.get_vocab().values()) - said), dtype=np.int64)
        made = []
        for number, count in enumerate(random.integers(1, 9, NONSENSE)):
            if number % 2 and other.size:
                made.append(self.tokenizer.decode(random.choice(other, count).tolist()))
            else:
                made.append(" ".join("".join(random.choice(LETTERS, random.integers(4, 10))) for _ in range(count)))
        return made

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """n texts -> the numbers of each one's tokens, TOKENS at most."""
        try:
            return [each.ids for each in self.tokenizer.encode_batch(list(texts))]
        except Exception as error:  # the package raises bare Exception, where unknown words have no token of their own
            raise UserError(f"{TOKENIZER} cannot cut a text into tokens: {str(error).splitlines()[0]}") from None

    def _pooled(self, ids: np.ndarray) -> np.ndarray:
        """int [b, t] -> float32 [b, width]; nothing is padded, so that the mean over the mask is that over all."""
        known = dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))
        told = {each.name: known[each.name].astype(KINDS[each.type]) for each in self.session.get_inputs()}
        (found,) = self.session.run([self.output], told)
        found = found.astype(np.float32)
        return found.mean(axis=1) if found.ndim == 3 else found

    def _tried(self) -> int:
        """The width of its vectors, seen on texts of two languages and lengths; UserError where it gives none."""
        texts = ("a qxv bag", "深色的手提包，一款浅色连衣裙")  # a word that no tokenizer knows among them
        ids = [each or [0] for each in self._tokens(texts)]
        try:
            vectors = [self._pooled(np.array([each, each])) for each in ids]
        except Exception as error:  # onnxruntime raises its own, of many kinds
            reason = str(error).splitlines()[0]
            raise UserError(f"{MODEL} does not run on any number of texts of any length: {reason}") from None
        shapes = {each.shape for each in vectors}
        if len(shapes) > 1 or vectors[0].ndim != 2 or len(vectors[0]) != 2:
            raise UserError(f"{MODEL}: its output {self.output} is neither (texts, tokens, width) nor (texts, width)")
        if not all(np.isfinite(each).all() for each in vectors):
            raise UserError(f"{MODEL}: its output {self.output} is not finite")
        return vectors[0].shape[1]


def _tokenizer(content: bytes) -> Any:
    tokenizers, _ = _libraries()
    try:
        tokenizer = tokenizers.Tokenizer.from_str(content.decode())
    except Exception as error:  # the package raises bare Exception
        raise UserError(f"{TOKENIZER} is no tokenizer: {str(error).splitlines()[0]}") from None
    own = tokenizer.truncation or {}
    tokenizer.enable_truncation(min(TOKENS, own.get("max_length", TOKENS)))
    tokenizer.no_padding()
    return tokenizer


def _session(content: bytes) -> Any:
    _, onnxruntime = _libraries()
    options = onnxruntime.SessionOptions()
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # errors are raised, once is enough
    try:
        with tempfile.TemporaryDirectory() as nowhere:  # or weights beside the model would be found here and not there
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", nowhere)
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{MODEL} is no ONNX model that is whole in one file, weights included: {reason}") from None
    for each in session.get_inputs():
        if each.name not in INPUTS or each.type not in KINDS:
            known = f"known are {', '.join(INPUTS)} of whole numbers"
            raise UserError(f"{MODEL} asks for {each.name}, {each.type}; {known}")
    return session


def _output(session: Any) -> str:
    """The output that is a text's, or its tokens', vectors: by name, or the only one that there is."""
    names = [each.name for each in session.get_outputs()]
    known = [name for name in OUTPUTS if name in names] or names
    if known is names and len(names) > 1:
        raise UserError(f"{MODEL} has the outputs {', '.join(names)}; known are {', '.join(OUTPUTS)}")
    return known[0]


def _libraries() -> tuple[Any, Any]:
    """The packages `tokenizers` and `onnxruntime`, which only a pretrained text encoder needs."""
    try:
        import onnxruntime
        import tokenizers
    except ModuleNotFoundError as error:
        raise UserError(
            f"a pretrained text encoder needs the package {error.name}: install the extra `pretrained`"
        ) from None
    return tokenizers, onnxruntime
