"""A pretrained text encoder behind the parser: captions are learned from its vectors, and packages hold it whole."""

import os
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from components.generators.build_training import start_training
from components.generators.photos.photo_attributes import ANY, LOW
from components.generators.quality.photo_classifier import train_classifier
from components.generators.text_to_image.caption_parser import CaptionParser, parsing_accuracy, train_parser
from components.generators.text_to_image.captions import NAMES
from components.generators.text_to_image.text_encoders import text_encoder
from components.generators.text_to_image.text_to_image import TextToImage, train_text_to_image
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig
from tests.components.ads.wordings import exact_matches
from tests.components.generators import tiny

CATEGORIES = tuple(NAMES)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return tiny.files(CATEGORIES)


@pytest.fixture(scope="module")
def reading(files):
    return train_parser(CATEGORIES, seed=0, encoder=text_encoder(files))


@pytest.mark.parametrize("english", [True, False])
def test_wordings_never_seen_are_read(reading, english):
    parser, held_out = reading
    fresh = [caption for caption in held_out if caption.text.isascii() == english]
    assert len(fresh) > 300
    assert exact_matches(parser, fresh) > 0.9


def test_a_run_can_tell_which_language_is_not_read(reading):
    parser, held_out = reading
    whole = parsing_accuracy(parser, held_out)
    assert set(whole) == {"English", "Chinese"} and min(whole.values()) > 0.9
    other = [replace(each, tone=each.tone ^ 1) if each.text.isascii() else each for each in held_out]
    assert parsing_accuracy(parser, other) == {"English": pytest.approx(0, abs=0.1), "Chinese": whole["Chinese"]}


def test_what_is_read_depends_on_what_the_encoder_makes_of_words(reading, files):
    """The head alone knows nothing: on the vectors of another encoder its answers are luck."""
    parser, held_out = reading
    words = tiny.vocabulary(CATEGORIES)
    other = text_encoder({**files, "model.onnx": tiny.model(tiny.table(words, seed=1)).SerializeToString()})
    parsed_captions = CaptionParser(parser.network, CATEGORIES, other).parse_all([caption.text for caption in held_out])
    assert (
        np.mean(
            [parsed.category == caption.category for parsed, caption in zip(parsed_captions, held_out, strict=True)]
        )
        < 0.4
    )


@pytest.mark.parametrize("text", ["a dark ankle boot", "深色短靴", "DARK   ankle boots!!!", "我想要一双暗色的短靴"])
def test_both_languages_mean_the_same(reading, text):
    parsed = reading[0].parse(text)
    assert (CATEGORIES[parsed.category], parsed.tone, parsed.build) == ("ankle-boot", LOW, ANY)


@pytest.mark.parametrize("text", ["", "   ", "xqzv wkjh pfft", "?!", "\U0001f600", "word3 word17 word200"])
def test_what_is_not_understood_is_refused(reading, text):
    with pytest.raises(UserError, match=r"empty|understood"):
        reading[0].parse(text)


def test_only_the_beginning_of_a_long_text_is_read(reading):
    long = "light coat " * 1000
    assert CATEGORIES[reading[0].parse(long).category] == "coat"
    ids = reading[0].encoder.tokenizer.encode(long).ids
    assert len(ids) == 64, "tokens beyond what every encoder takes are cut off"


def test_vectors_are_means_over_tokens_of_length_1(files):
    words = tiny.vocabulary(CATEGORIES)
    vectors = text_encoder(files).encode(["dark bag", "", "dark bag 包"])
    table = tiny.table(words)
    mean = table[[words["dark"], words["bag"]]].mean(axis=0)
    assert np.allclose(vectors[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1]) and vectors.dtype == np.float32


def test_a_vector_depends_on_its_own_text_alone(files):
    read, texts = text_encoder(files), ["dark bag", "包", "a wide coat for every day", "bag"]
    assert np.array_equal(read.encode(texts), np.concatenate([read.encode([text]) for text in texts]))


@pytest.mark.parametrize(
    "form",
    [
        {"pooled": True},
        {"inputs": ("input_ids",)},
        {"inputs": ("input_ids", "attention_mask", "token_type_ids")},
        {"kind": TensorProto.INT32},
        {"output": "features"},
    ],
)
def test_models_of_every_known_form_give_the_same_vectors(files, form):
    made = tiny.model(tiny.table(tiny.vocabulary(CATEGORIES)), **form).SerializeToString()
    texts = ["dark bag", "浅色连衣裙"]
    assert np.allclose(
        text_encoder({**files, "model.onnx": made}).encode(texts), text_encoder(files).encode(texts), atol=1e-6
    )


def test_a_text_in_which_the_tokenizer_finds_nothing_is_refused_too(reading):
    invisible = "\u200b\u200b"
    assert (reading[0].encoder.encode([invisible]) == 0).all()
    with pytest.raises(UserError, match="no category is understood"):
        reading[0].parse(invisible)


def test_a_tokenizer_that_fails_on_unknown_words_is_named(files):
    words = tiny.vocabulary(CATEGORIES)
    with pytest.raises(UserError, match=r"tokenizer\.json cannot split a text into tokens: .*Missing"):
        text_encoder({**files, "tokenizer.json": tiny.tokenizer_json(words, unknown="[ABSENT]")})


def test_the_seed_decides_what_is_learned(files):
    readers = (train_parser(("bag", "coat"), seed, 5, text_encoder(files))[0] for seed in (0, 0, 1))
    one, same, other = (np.concatenate([each.ravel() for each in it.network.get_weights()]) for it in readers)
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.slow
def test_files_give_the_same_text_to_image_back(photos):
    files = tiny.files(photos.categories)
    config = GeneratorConfig(steps=2, max_seconds=60.0, batch_size=8, latent=6)
    training = start_training("vae", photos, config, seed=0)
    for _ in training.run():
        pass
    judge = train_classifier(photos, epochs=1)
    maker = train_text_to_image(training.generator(), photos, judge, seed=0, encoder=text_encoder(files))
    assert {name: maker.caption_files()[name] for name in files} == files, "a package holds the encoder itself"
    again = TextToImage.from_files(maker.files())
    texts = ["a dark disc", "left", "浅色left"]
    assert again.parser.parse_all(texts) == maker.parser.parse_all(texts)
    drawn, redrawn = (each.draw(texts, np.array([0, 2, 1]), 3, 4) for each in (maker, again))
    assert np.array_equal(drawn.pictures, redrawn.pictures) and np.array_equal(drawn.attempts, redrawn.attempts)
    for name in files:
        with pytest.raises(UserError, match=f"{name}' is missing"):
            TextToImage.from_files({file: content for file, content in maker.files().items() if file != name})
    alone = {file: content for file, content in maker.files().items() if file not in files}
    with pytest.raises(UserError, match=r"reader\.keras takes 48 numbers of a text, its encoder has 96"):
        TextToImage.from_files(alone)


def remade(**form) -> bytes:
    return tiny.model(tiny.table(tiny.vocabulary(CATEGORIES)), **form).SerializeToString()


def with_shape(shape: list, operator: str, **attributes) -> bytes:
    """A model whose one output is what `operator` makes of the tokens' vectors."""
    from onnx import helper

    made = tiny.model(tiny.table(tiny.vocabulary(CATEGORIES)))
    made.graph.node[0].output[0] = "found"
    made.graph.node.append(helper.make_node(operator, ["found"], ["made"], **attributes))
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("made", TensorProto.FLOAT, shape))
    return made.SerializeToString()


def not_finite() -> bytes:
    return tiny.model(np.full((800, tiny.WIDTH), np.nan, np.float32)).SerializeToString()


def two_unknown_outputs() -> bytes:
    made = tiny.model(tiny.table(tiny.vocabulary(CATEGORIES)), output="first")
    made.graph.node.append(onnx.helper.make_node("Identity", ["first"], ["second"]))
    made.graph.output.append(onnx.helper.make_tensor_value_info("second", TensorProto.FLOAT, None))
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"damaged", "is not an ONNX model with its weights in one file"),
        (lambda: b"", "is not an ONNX model with its weights in one file"),
        (lambda: remade()[:5000], "is not an ONNX model with its weights in one file"),
        (lambda: remade(inputs=("pixel_values",)), "asks for pixel_values"),
        (
            lambda: remade(inputs=("input_ids", "position_ids")),
            r"asks for position_ids.*known are input_ids, attention",
        ),
        (two_unknown_outputs, "has the outputs first, second; known are sentence_embedding"),
        (lambda: with_shape([tiny.TEXTS], "ReduceMean", axes=[1, 2], keepdims=0), "its output made is neither"),
        (lambda: with_shape([tiny.TEXTS, tiny.TOKENS], "ReduceMean", axes=[2], keepdims=0), "made is neither"),
        (lambda: with_shape([tiny.TEXTS], "NoSuchOperator"), "is not an ONNX model with its weights in one file"),
        (not_finite, "its output last_hidden_state is not finite"),
        (
            lambda: tiny.model(np.zeros((2, tiny.WIDTH), np.float32)).SerializeToString(),
            "does not run on texts of any number",
        ),
    ],
)
def test_a_model_that_is_none_is_named_in_one_line(files, content, words):
    with pytest.raises(UserError, match=rf"model\.onnx.*{words}") as told:
        text_encoder({**files, "model.onnx": content()})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"damaged", b"", b"{}", b"\xff\xfe"])
def test_a_tokenizer_that_is_none_is_named(files, content):
    with pytest.raises(UserError, match=r"tokenizer\.json is not a tokenizer"):
        text_encoder({**files, "tokenizer.json": content})


def test_a_model_with_weights_in_another_file_is_refused_even_where_that_file_lies(files, tmp_path, monkeypatch):
    """It would be read here, and not from a package on another machine."""
    whole = tiny.model(tiny.table(tiny.vocabulary(CATEGORIES)))
    onnx.save(whole, tmp_path / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    assert os.path.exists("weights")
    with pytest.raises(UserError, match="not an ONNX model with its weights in one file"):
        text_encoder({**files, "model.onnx": (tmp_path / "model.onnx").read_bytes()})


@pytest.mark.parametrize("package", ["tokenizers", "onnxruntime"])
def test_without_its_packages_the_extra_is_named(files, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"needs the package {package}: install the extra `pretrained`"):
        text_encoder(files)
    assert text_encoder({}).encode(["a bag"]).shape == (1, 96), "Adloom's own parser needs none of them"
