from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from components.generators.build_training import start_training
from components.generators.families.vae import held_out_bound, sampler
from components.generators.generator_kinds import FAMILIES
from components.generators.photos.photo_attributes import BETWEEN
from components.generators.photos.training_photos import Photos, read_photos, training_photos
from components.generators.training.training_batches import Batches, Noise
from components.images import encode_png
from components.settings.errors import UserError
from components.settings.sections import GeneratorConfig


def table(counts, shape=(28, 28, 1)):
    """An images table with so many random photos per category."""
    random = np.random.default_rng(0)
    names = [name for name, count in counts.items() for _ in range(count)]
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(len(names))],
            "image": [encode_png(random.integers(0, 256, shape, dtype=np.uint8)) for _ in names],
            "category": names,
            "split": "train",
        }
    )


def test_a_category_with_few_photos_is_left_out_and_named():
    photos, remarks = read_photos(table({"hat": 30, "sock": 3}), segments=2)
    assert photos.categories == ("hat",) and len(photos.category) == 30
    assert any("sock: 3 photos" in remark for remark in remarks)
    with pytest.raises(UserError, match="nothing to learn"):
        read_photos(table({"sock": 3}), segments=2)


def test_blank_photos_are_left_out_and_counted():
    images = table({"hat": 30})
    images.loc[4, "image"] = encode_png(np.full((1, 1, 1), 7, np.uint8))
    photos, remarks = read_photos(images, segments=1)
    assert len(photos.category) == 29 and any("1 photos of one single colour" in remark for remark in remarks)


def test_size_and_channels_follow_the_data():
    assert read_photos(table({"hat": 20}, (64, 48, 3)), 1)[0].shape == (64, 64, 3)
    assert read_photos(table({"hat": 20}, (300, 300, 1)), 1)[0].shape == (64, 64, 1)
    assert read_photos(table({"hat": 20}), 1, size=20)[0].shape == (20, 20, 1)


def test_segments_come_from_those_who_touched_the_photo():
    shares = pd.DataFrame({0: [3.0, 0.0], 1: [1.0, 0.0]}, index=["i0", "i1"])
    weights = read_photos(table({"hat": 20}), 2, segment_shares=shares)[0].segment_weights
    assert weights[0].tolist() == [0.75, 0.25, 0.0]
    assert weights[1].tolist() == weights[2].tolist() == [0.0, 0.0, 1.0]


def test_batches_depend_on_seed_and_step_alone(photos):
    batches = Batches(photos, 50, 2, (Noise("z", (3,)),), seed=1)
    one, same = batches.at(7), Batches(photos, 50, 2, (Noise("z", (3,)),), seed=1).at(7)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert one["pictures"].shape == (2, 50, 12, 12, 1) and one["z"].shape == (2, 50, 3)
    assert not np.array_equal(one["z"], batches.at(8)["z"])


def test_an_epoch_takes_every_photo_once_and_segments_follow_their_weights(photos):
    batches = Batches(photos, 240, 1, (), seed=0)
    seen = batches.at(3)
    assert sorted(seen["pictures"].sum(axis=(2, 3, 4))[0]) == sorted(photos.pictures.sum(axis=(1, 2, 3)))
    shares = np.bincount(np.concatenate([batches.at(step)["segment"][0] for step in range(20)]), minlength=3) / 4800
    assert np.allclose(shares, photos.segment_weights.mean(axis=0), atol=0.02)


@pytest.mark.parametrize("name", FAMILIES)
def test_odd_sides_and_colour_train_with_no_code_change(name):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (24, 17, 13, 3), dtype=np.uint8)
    photos = Photos(pictures, np.arange(24, dtype=np.int32) % 2, ("a", "b"), np.full((24, 2), 0.5, np.float32))
    training = start_training(name, photos, GeneratorConfig(steps=1, max_seconds=60.0, batch_size=4, latent=5), 0)
    assert [record.step for record in training.run()] == [1]
    assert training.generator().sample(np.array([1]), np.array([1]), 0).shape == (1, 17, 13, 3)


def test_the_bound_in_nats_rises_with_training(photos):
    def bound(steps):
        config = GeneratorConfig(steps=steps, max_seconds=60.0, batch_size=32, latent=4)
        training = start_training("vae", photos, config, seed=0)
        for _ in training.run():
            pass
        return held_out_bound(training.networks, photos)

    early, late = bound(1), bound(60)
    assert late.elbo > early.elbo + 50 and late.kl > 0 and late.pictures == 240
    # no density can give every pixel more than probability 1
    assert late.elbo < 0


def test_some_of_a_sorted_table_are_of_every_category(photos):
    order = np.argsort(photos.category, kind="stable")
    some = photos.take(order).some(90)
    assert len(some.category) == 90 and (np.bincount(some.category) >= 20).all()
    assert photos.some(240) is photos
    rare = photos.take(np.r_[np.flatnonzero(photos.category < 2), np.flatnonzero(photos.category == 2)[:25]])
    assert np.bincount(rare.some(60).category, minlength=3)[2] >= 20


def test_a_vae_of_sorted_photos_paints_every_category(photos):
    order = np.argsort(photos.category, kind="stable")
    config = GeneratorConfig(steps=1, max_seconds=60.0, batch_size=16, latent=4)
    training = start_training("vae", photos.take(order), config, seed=0)
    for _ in training.run():
        pass
    network = sampler(training.networks, photos.take(order), limit=70)  # the first 80 rows are of one category
    painted = network([np.zeros((3, 4), "float32"), np.arange(3), np.zeros(3, int), np.full((3, 2), BETWEEN)])
    assert np.isfinite(np.asarray(painted)).all()


def test_a_category_of_blank_photos_is_left_out_and_named():
    images = table({"hat": 30, "sock": 30, "glove": 25})
    white = encode_png(np.full((28, 28, 1), 255, np.uint8))
    images.loc[images["category"] == "sock", "image"] = white
    images.loc[images.index[-10:], "image"] = white
    photos, remarks = read_photos(images, segments=1)
    assert photos.categories == ("hat",) and set(photos.category) == {0}
    assert {remark.split(":")[0] for remark in remarks} >= {"category sock", "category glove"}
    with pytest.raises(UserError, match="nothing to learn"):
        read_photos(images[images["category"] == "sock"], segments=1)


def learned(images, creatives=None, products=None):
    """`training_photos` of a shop with these images."""
    people = pd.DataFrame({"creative_id": ["c0"], "origin": ["people"], "image_id": ["i0"]})
    tables = {"images": images, "creatives": people if creatives is None else creatives}
    if products is not None:
        tables["products"] = products
    impressions = pd.DataFrame({"segment": [0, 1], "consent": True})
    return training_photos(tables, SimpleNamespace(impressions=impressions, segments=2), None)


def test_pictures_that_generators_made_are_no_photos():
    images = table({"hat": 40}).assign(split=None)
    made = pd.DataFrame(
        {
            "creative_id": ["c0", "c1", "c2", "c3"],
            "origin": ["people", "flow-3", "flow-3", "vae-3"],
            "image_id": ["i0", "i1", "i2", "i0"],
        }
    )
    products = pd.DataFrame({"product_id": ["p2"], "image_id": ["i2"]})  # a product's own photo in a generator's ad
    assert len(learned(images, made)[0].category) == 38
    assert len(learned(images, made, products)[0].category) == 39
    assert len(learned(images)[0].category) == 40


def test_a_photo_without_a_category_has_its_products():
    images = table({"hat": 30, "sock": 25}).assign(split=None)
    images["category"] = pd.Series([None] * 55, dtype="str")
    with pytest.raises(UserError, match="no photo has a category"):
        learned(images)
    products = pd.DataFrame(
        {
            "product_id": [f"p{number}" for number in range(58)],
            "category": ["hat"] * 30 + ["sock"] * 25 + ["hat", "sock", "hat"],
            # a second hat on photo 0, a sock and a hat on the placeholder of photo 54, a product without a photo
            "image_id": [f"i{number}" for number in range(55)] + ["i0", None, "i54"],
        }
    )
    photos, _, remarks = learned(images, products=products)
    assert photos.categories == ("hat", "sock")
    assert np.bincount(photos.category).tolist() == [30, 24]
    assert remarks == ("1 photos that products of several categories share and that have no category: left out",)


def test_a_photos_own_category_counts_more_than_its_products():
    images = table({"hat": 30}).assign(split=None)
    products = pd.DataFrame({"product_id": ["p"], "category": ["sock"], "image_id": ["i0"]})
    photos, _, remarks = learned(images, products=products)
    assert photos.categories == ("hat",) and len(photos.category) == 30 and remarks == ()


def test_too_few_photos_of_every_category_say_so():
    images = table({"hat": 19, "sock": 11}).assign(split=None)
    with pytest.raises(UserError, match="no category has 20 photos"):
        learned(images)


def test_too_few_test_photos_are_refused_before_anything_is_trained():
    images = table({"hat": 60})
    images.loc[images.index[:3], "split"] = "test"
    with pytest.raises(UserError, match=r"3 photos of split 'test'.*fewer than 20"):
        learned(images)
    images.loc[images.index[:20], "split"] = "test"
    train, test, _ = learned(images)
    assert len(train.category) == 40 and len(test.category) == 20
