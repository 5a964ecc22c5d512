"""From a package of generators to pictures of a category or of a text, and what cannot be asked for."""

import numpy as np
import pytest

from components.config import GeneratorConfig
from components.creatives.attributes import Scales
from components.creatives.classifier import train_classifier
from components.creatives.photos import Photos
from components.creatives.reading import train_reader
from components.creatives.train import start_training
from components.creatives.wishes import TextToImage
from components.errors import UserError
from components.generation import Order, make

CATEGORIES = ("ankle-boot", "bag")
WORDING = {"headline": "New in", "call_to_action": "Look", "palette": None, "template": None, "brand_color": None}
ABOUT = {"best": "vae-2", "texts": [WORDING], "max_attempts": 3}


@pytest.fixture(scope="module")
def files():
    """A package's files: a generator, and words that it is asked in."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (60, 12, 12, 1), dtype=np.uint8)
    pictures[:30, :6] = 240
    photos = Photos(pictures, np.repeat(np.arange(2, dtype=np.int32), 30), CATEGORIES, np.ones((60, 1), np.float32))
    config = GeneratorConfig(steps=2, max_seconds=60.0, batch_size=8, latent=4)
    training = start_training("vae", photos, config, seed=0)
    for _ in training.run():
        pass
    reader, _ = train_reader(CATEGORIES, seed=0, steps=150)
    scales = Scales.fit(pictures, photos.category, 2)
    return TextToImage(reader, training.generator(), train_classifier(photos, epochs=1), scales).files()


def order(text, count=2, category=None, segment=None):
    return Order(count, category, segment, text, 0)


@pytest.mark.parametrize(("text", "category"), [("a dark ankle boot", "ankle-boot"), ("浅色手提包", "bag")])
def test_a_text_in_either_language_names_the_picture(files, text, category):
    rows = make(files, ABOUT, order(text))
    assert [row["category"] for row in rows] == [category] * 2
    assert {row["tone"] for row in rows} == {"dark" if category == "ankle-boot" else "light"}
    assert all(1 <= row["attempts"] <= 3 and isinstance(row["met"], bool) for row in rows)
    assert all(row["picture_png"].startswith(b"\x89PNG") and row["ad_png"].startswith(b"\x89PNG") for row in rows)


def test_a_picture_that_never_passes_is_kept_and_marked(files):
    """Two steps of training draw noise, which no classifier takes for a slim, light bag."""
    rows = make(files, ABOUT, order("slim light bag", count=20))
    unmet = [row for row in rows if not row["met"]]
    assert unmet and all(row["attempts"] == 3 for row in unmet)


def test_only_the_first_signs_of_a_long_text_are_read(files):
    long = "a dark ankle boot " + "x" * 10_000
    assert make(files, ABOUT, order(long))[0]["category"] == "ankle-boot"
    assert make(files, ABOUT, order(long))[0]["text"] == long[:200]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_text_is_refused(files, text):
    with pytest.raises(UserError, match="the text is empty"):
        make(files, ABOUT, order(text))


@pytest.mark.parametrize("text", ["qqq zzz vvv", "!!!", "微积分"])
def test_a_text_of_unknown_words_is_refused_with_what_is_known(files, text):
    with pytest.raises(UserError, match="ankle-boot, bag"):
        make(files, ABOUT, order(text))


def test_a_champion_without_words_says_so(files):
    bare = {name: content for name, content in files.items() if name.startswith("generator")}
    with pytest.raises(UserError, match="reads no captions"):
        make(bare, ABOUT, order("a bag"))


def test_categories_and_segments_are_taken_in_turn_and_unknown_ones_named(files):
    rows = make(files, ABOUT, order(None, count=3))
    assert [row["category"] for row in rows] == ["ankle-boot", "bag", "ankle-boot"]
    with pytest.raises(UserError, match="--category hat: the champion knows"):
        make(files, ABOUT, order(None, category="hat"))
    with pytest.raises(UserError, match="--segment 9: the champion knows"):
        make(files, ABOUT, order("a bag", segment=9))
