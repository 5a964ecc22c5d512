"""A text encoder in the form in which pretrained ones are shared, small enough to be made in a test."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from components.generators.text_to_image.captions import all_captions

WIDTH = 48
UNKNOWN = "[UNK]"
FILLING = [f"word{number}" for number in range(400)]  # it knows more than captions say
TEXTS, TOKENS = "texts", "tokens"  # axes of any length


def vocabulary(categories: Sequence[str]) -> dict[str, int]:
    """Every word, and every Chinese sign, of all captions, and other words -> number."""
    cut = _cutting(Tokenizer(WordLevel({UNKNOWN: 0}, UNKNOWN)))
    texts = [cut.normalizer.normalize_str(caption.text) for caption in all_captions(tuple(categories))]
    words = {word for text in texts for word, _ in cut.pre_tokenizer.pre_tokenize_str(text)}
    return {word: number for number, word in enumerate([UNKNOWN, *sorted(words), *FILLING])}


def tokenizer_json(words: dict[str, int], unknown: str = UNKNOWN) -> bytes:
    """A tokenizer of those words, which takes all others for the word `unknown`."""
    return _cutting(Tokenizer(WordLevel(words, unknown))).to_str().encode()


def _cutting(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.normalizer = BertNormalizer()  # sets each Chinese sign apart
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def table(words: dict[str, int], seed: int = 0) -> np.ndarray:
    """A vector for each word: float32 [words, WIDTH]."""
    return np.random.default_rng(seed).standard_normal((len(words), WIDTH)).astype(np.float32)


def model(
    vectors: np.ndarray,
    pooled: bool = False,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    kind: int = TensorProto.INT64,
    output: str | None = None,
) -> onnx.ModelProto:
    """A look-up of each token's vector: last_hidden_state, or, pooled, their mean as sentence_embedding."""
    name = output or ("sentence_embedding" if pooled else "last_hidden_state")
    nodes = [helper.make_node("Gather", ["table", inputs[0]], ["found" if pooled else name])]
    if pooled:
        nodes.append(helper.make_node("ReduceMean", ["found"], [name], axes=[1], keepdims=0))
    shape = [TEXTS, WIDTH] if pooled else [TEXTS, TOKENS, WIDTH]
    graph = helper.make_graph(
        nodes,
        "look-up",
        [helper.make_tensor_value_info(each, kind, [TEXTS, TOKENS]) for each in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(vectors, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def files(categories: Sequence[str]) -> dict[str, bytes]:
    """The two files of an encoder that knows every word of the captions about `categories`."""
    words = vocabulary(categories)
    return {"tokenizer.json": tokenizer_json(words), "model.onnx": model(table(words)).SerializeToString()}
