"""Looks: each image is decoded once, whatever reads its look afterwards."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from components.features import Looks, build_features, creative_features, fit_features, fit_with_looks, looks_of
from components.features.shoppers.decision_segments import cluster_shoppers
from components.images import PictureEncoder, decode, decode_all, decoding, encode_png
from components.settings.sections import FeaturesConfig
from tests.components.features.shop import shop

CONFIG = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)


@pytest.fixture
def decoded(monkeypatch) -> Counter:
    """How often each image is decoded: a count by its bytes."""
    counts: Counter = Counter()

    def counting(content, *arguments):
        counts[content] += 1
        return decode(content, *arguments)

    monkeypatch.setattr(decoding, "decode", counting)
    return counts


def test_features_and_segments_decode_each_image_once(decoded):
    tables = shop(seed=3, impressions=600)
    model, looks = fit_with_looks(tables, CONFIG)
    built = build_features(model, tables, CONFIG, looks)
    creative_features(model, tables["creatives"], tables["products"], built.looks)
    cluster_shoppers(model, tables, built.looks, moment=model.splits.select_until, count=2, seed=0)
    assert set(decoded) == set(tables["images"]["image"]) and set(decoded.values()) == {1}
    alone = build_features(fit_features(tables, CONFIG), tables, CONFIG)
    assert alone.impressions.equals(built.impressions) and alone.creatives.equals(built.creatives)


def test_looks_survive_their_table_and_say_what_they_do_not_know():
    tables = shop(seed=3, impressions=300)
    _, looks = fit_with_looks(tables, CONFIG)
    again = Looks.from_table(looks.to_table())
    assert again.image_id.tolist() == looks.image_id.tolist() and np.array_equal(again.vectors, looks.vectors)
    vectors, known = again.of(pd.Series([looks.image_id[0], "nowhere", None], dtype="str"), 3)
    assert known.tolist() == [True, False, False] and not vectors[1:].any()
    np.testing.assert_array_equal(vectors[0], looks.vectors[0].astype(float))
    nothing = Looks.from_table(looks_of(None, tables).to_table())
    assert nothing.of(pd.Series(["nowhere"], dtype="str"), 3)[0].shape == (1, 3)


def test_pictures_and_the_images_that_hold_them_have_one_look():
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (30, 10, 10, 1), dtype=np.uint8)
    images = pd.DataFrame({"image_id": [f"i{n}" for n in range(30)], "image": [encode_png(each) for each in pictures]})
    encoder = PictureEncoder.fit(decode_all(images, 8, 1), 4)  # resized on the way
    of_pictures = Looks.of_pictures(encoder, images["image_id"], pictures)
    some = Looks.of_images(encoder, images.iloc[20:])
    np.testing.assert_array_equal(Looks.of_images(encoder, images, some).vectors, of_pictures.vectors)
