import json
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.ads.admission import Standards, admit
from components.ads.contact_sheets import ADS, GAP, ads_sheet
from components.ads.pools.generated_ads import generated_ads
from components.ads.pools.pool import fill_pool
from components.ads.rendering.image_formats import picture_png
from components.contract.schema import TABLES
from components.generators.quality.photo_manifold import Manifold
from components.images import NetworkEncoder, PictureEncoder, decode_all
from components.settings.errors import UserError
from tests.components.ads.candidates import pictured
from tests.components.images.sketches import dense_encoder


class Sketcher:
    """A generator without a network: the fixture's shapes with fresh light and noise."""

    name, shape, categories, segments = "sketch-1", (12, 12, 1), ("top", "left", "disc"), 2

    def __init__(self, photos):
        groups = [photos.pictures[photos.category == code].mean(axis=0) for code in range(3)]
        self.shapes = np.stack(groups) / 170.0  # 170 is the fixture's mean light

    def sample(self, category, segment, seed, traits=None):
        random = np.random.default_rng(seed)
        pictures = self.shapes[category] * random.uniform(130, 210, (len(category), 1, 1, 1))
        return np.clip(pictures + random.normal(0, 8, (len(category), *self.shape)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def manifold(photos):
    return Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, 8))


@pytest.fixture(scope="module")
def tables():
    campaigns = pd.DataFrame({"campaign": ["b", "a"], "locale": ["zh-CN", "en"]})
    products = pd.DataFrame({"product_id": ["p1", "p2", "p3"], "category": ["top", "disc", "unheard"]})
    creatives = pd.DataFrame(
        {
            "creative_id": ["c1", "c2", "c3"],
            "campaign": ["a", "a", "b"],
            "origin": "people",
            "product_id": ["p1", "p3", "p2"],
            "template": ["plain", "badge", None],
            "headline": ["Good", "Better", None],
            "call_to_action": ["Go", "Go", None],
            "palette": ["warm", "cool", None],
        }
    )
    return {"campaigns": campaigns, "creatives": creatives, "products": products}


def brightness(creatives, pictures):
    light = pictures.mean(axis=(1, 2, 3))
    return np.stack([light, -light], axis=1)


def filled(tables, generators, standards, score, per_campaign, *, seed):
    """The pool of ads with generated images alone."""
    proposals = generated_ads(tables, generators, per_campaign, seed=seed)
    return fill_pool(tables, [proposals], standards, score, per_campaign)


def test_the_pool_has_the_contracts_columns_and_only_what_was_asked(tables, photos, manifold):
    pool = filled(tables, [Sketcher(photos)], Standards(manifold, 0.05), brightness, 4, seed=0)
    assert list(pool.creatives.columns) == [column.name for column in TABLES["creatives"].columns]
    assert list(pool.images.columns) == [column.name for column in TABLES["images"].columns]
    assert pool.creatives["campaign"].value_counts().to_dict() == {"a": 4, "b": 4}
    assert set(pool.creatives["image_id"]) == set(pool.images["image_id"])
    assert pool.creatives["origin"].unique().tolist() == ["sketch-1"]
    asked = [json.loads(text) for text in pool.creatives["conditions"]]
    by_campaign = {
        campaign: {
            row["category"] for row, name in zip(asked, pool.creatives["campaign"], strict=True) if name == campaign
        }
        for campaign in "ab"
    }
    assert by_campaign == {"a": {"top"}, "b": {"disc"}}
    texts = pool.creatives[pool.creatives["campaign"] == "a"]
    assert set(texts["headline"]) <= {"Good", "Better"} and texts["headline"].notna().all()
    assert pool.creatives[pool.creatives["campaign"] == "b"]["headline"].isna().all()


def test_each_segment_gets_what_it_likes_best(tables, photos, manifold):
    proposed = {}

    def remembering(creatives, pictures):
        scores = brightness(creatives, pictures)
        proposed.update(zip(creatives["creative_id"], scores[:, 0], strict=True))
        return scores

    pool = filled(tables, [Sketcher(photos)], Standards(manifold, 0.05), remembering, 2, seed=0)
    for campaign in "ab":
        light = [value for name, value in proposed.items() if name.startswith(campaign)]
        chosen = [proposed[name] for name in pool.creatives["creative_id"] if name.startswith(campaign)]
        assert len(light) > 4 and sorted(chosen) == [min(light), max(light)]
    first = pool.ranking.sort_values("rank").groupby(["campaign", "segment"])["score"]
    assert len(pool.ranking) == 8 and (first.first() == first.max()).all()


def test_the_same_seed_fills_the_same_pool(tables, photos, manifold):
    one, same, other = (
        filled(tables, [Sketcher(photos)], Standards(manifold, 0.05), brightness, 3, seed=seed) for seed in (1, 1, 2)
    )
    assert one.images.equals(same.images) and one.creatives.equals(same.creatives)
    assert not one.images["image"].equals(other.images["image"])


def test_an_id_names_one_creative_whatever_run_made_it(tables, photos, manifold):
    """What a shop serves and logs is never given to another picture, and what it serves already is not new."""
    fill = [Sketcher(photos)], Standards(manifold, 0.05), brightness, 3
    night, other = filled(tables, *fill, seed=1), filled(tables, *fill, seed=2)
    for table, name in (("creatives", "creative_id"), ("images", "image_id")):
        ids = pd.concat([getattr(night, table)[name], getattr(other, table)[name]])
        assert ids.is_unique and len(ids) == 12
    served = {**tables, "creatives": pd.concat([tables["creatives"], night.creatives], ignore_index=True)}
    later = filled(served, *fill, seed=1)
    assert len(later.creatives) == 6 and later.refused["is in the catalogue already"] == 6
    assert not set(later.creatives["creative_id"]) & set(night.creatives["creative_id"])
    words = tables["creatives"].assign(headline=["Best", "Best", None])
    anew = filled({**tables, "creatives": words}, *fill, seed=1)
    same = anew.creatives["creative_id"].isin(night.creatives["creative_id"])
    assert (anew.creatives["campaign"] == "b").equals(same)  # only campaign a has other words


def test_a_made_picture_can_be_remade_from_its_row(tables, photos, manifold):
    generator = Sketcher(photos)
    generator.sample = lambda category, segment, seed: (  # each picture depends on (category, seed, place) alone
        np.stack(
            [Sketcher(photos).sample(np.array([code]), None, seed + place)[0] for place, code in enumerate(category)]
        )
        if len(category)
        else np.empty((0, 12, 12, 1), np.uint8)
    )
    pool = filled(tables, [generator], Standards(manifold, 0.05), brightness, 2, seed=0)
    row = pool.creatives.iloc[0]
    about = json.loads(row["conditions"])
    codes = np.full(about["draw"] + 1, generator.categories.index(about["category"]))
    again = generator.sample(codes, codes * 0, int(row["seed"]))[-1]
    assert np.array_equal(again, pool.pictures[0])
    assert np.array_equal(pool.pictures, decode_all(pool.images, 12, 1))


def test_the_board_of_ads_shows_some_of_every_part_of_the_pool():
    colours = {f"ad-{number:02d}.png": (number, 0, 0) for number in range(40)}
    made = {name: picture_png(np.full((50, 60, 3), colour, np.uint8)) for name, colour in colours.items()}
    sheet = np.asarray(Image.open(BytesIO(ads_sheet(made))))
    shown = set(np.unique(sheet[..., 0][sheet[..., 1] == 0]).tolist())
    assert len(shown) == ADS and {0, 39} <= shown
    assert sheet.shape == (4 * 50 + 3 * GAP, 3 * 60 + 2 * GAP, 3)
    one = np.asarray(Image.open(BytesIO(ads_sheet(dict([next(iter(made.items()))])))))
    assert one.shape[0] == 50


def test_a_score_that_is_no_number_stops_the_pool(tables, photos, manifold):
    def broken(creatives, pictures):
        return np.full((len(creatives), 2), np.nan)

    with pytest.raises(UserError, match="finite"):
        filled(tables, [Sketcher(photos)], Standards(manifold, 0.05), broken, 2, seed=0)


def test_no_known_category_is_named(tables, photos, manifold):
    tables = {**tables, "products": tables["products"].assign(category="unheard")}
    with pytest.raises(UserError, match="category"):
        filled(tables, [Sketcher(photos)], Standards(manifold, 0.05), brightness, 2, seed=0)


def test_admission_refuses_copies_noise_blanks_and_repeats(photos, manifold):
    fresh = Sketcher(photos).sample(np.array([0, 1, 2]), None, seed=9)
    noise = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 1), dtype=np.uint8)
    pictures = np.concatenate([fresh, photos.pictures[:1], noise, np.full_like(noise, 90), fresh[:1]])
    assert admit(pictured(pictures), Standards(manifold, 0.05)).tolist() == [
        "",
        "",
        "",
        "copies a product photo",
        "does not look like a product photo",
        "does not look like a product photo",
        "is a near-duplicate of another generated image",
    ]


@pytest.mark.parametrize(("shape", "scale"), [((12, 12, 1), 1.0), ((12, 12, 1), 100.0), ((20, 16, 3), 1.0)])
def test_a_network_can_tell_repeats_whatever_its_units_and_the_shape_it_takes(photos, shape, scale):
    likeness = NetworkEncoder.from_bytes(dense_encoder(shape, 8, scale))
    manifold = Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, 8), likeness)
    fresh = Sketcher(photos).sample(np.arange(30) % 3, None, seed=9)
    near = np.clip(fresh[:5].astype(int) + 1, 0, 255).astype(np.uint8)
    repeats = manifold.near_duplicates(np.concatenate([fresh, near]), 0.25)
    assert repeats[30:].all() and repeats[:30].mean() < 0.2
    assert not manifold.near_duplicates(fresh[:0], 0.25).size
