"""Ads with a product's own photo: what is proposed, what is left out and why, and pixels that stay."""

import numpy as np
import pandas as pd
import pytest

from components.ads.admission import Standards
from components.ads.pools.generated_ads import generated_ads
from components.ads.pools.pool import IN_CATALOGUE, fill_pool
from components.ads.pools.product_ads import Written, product_ads
from components.ads.pools.shown_facts import facts_of
from components.ads.rendering.prices import written_price
from components.contract.origins import PRODUCT_ADS, photos_of
from components.contract.schema import TABLES
from components.images import encode_png

BY_PEOPLE = Written({}, "EUR", 0.0)
COPY = ["template", "headline", "call_to_action", "palette"]


def photo(seed: int, side: int = 40) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.fixture
def tables():
    products = pd.DataFrame(
        {
            "product_id": ["shoe", "lamp", "sofa", "never advertised"],
            "category": ["shoes", "lights", "seats", "seats"],
            "image_id": ["i-shoe", "i-lamp", "i-sofa", "i-shoe"],
            "title": ["Running Shoe", "A lamp " * 20, None, "Stool"],
            "price": [49.5, 1200.0, 310.0, 14.0],
        }
    )
    creatives = pd.DataFrame(
        {
            "creative_id": ["c1", "c2", "c3", "c4"],
            "campaign": ["a", "a", "b", "b"],
            "origin": "people",
            "product_id": ["shoe", "lamp", "sofa", None],
            "image_id": [None, "i-lamp", None, None],
            "template": ["plain", "badge", "split", "split"],
            "headline": ["Run on", "Light up", "Sit down", "Our brand"],
            "call_to_action": ["Go", "See", "Sit", "Sit"],
            "palette": ["warm", "cool", "mono", "mono"],
        }
    )
    images = pd.DataFrame({"image_id": ["i-shoe", "i-lamp", "i-sofa"], "image": [photo(1), photo(2), photo(3)]})
    campaigns = pd.DataFrame({"campaign": ["b", "a"], "locale": ["zh-CN", "en"]})
    return {"campaigns": campaigns, "creatives": creatives, "products": products, "images": images}


def by_length(creatives, pictures):
    assert pictures is None
    lengths = creatives["headline"].str.len().to_numpy(np.float64)
    return np.stack([lengths, -lengths], axis=1)


def test_an_ad_shows_a_product_of_its_campaign_with_that_products_photo(tables):
    proposals, remarks = product_ads(tables, 4, BY_PEOPLE, seed=0)
    rows = proposals.rows
    assert remarks == () and proposals.pictures is None
    assert set(rows.loc[rows["campaign"] == "a", "product_id"]) == {"shoe", "lamp"}
    assert set(rows.loc[rows["campaign"] == "b", "product_id"]) == {"sofa"}
    assert (rows["image_id"] == "i-" + rows["product_id"]).all() and (rows["origin"] == PRODUCT_ADS).all()
    assert rows["creative_id"].is_unique and not rows.duplicated(["campaign", "product_id", *COPY]).any()


def test_an_ad_that_people_made_is_not_proposed_again(tables):
    rows = product_ads(tables, 30, BY_PEOPLE, seed=0)[0].rows
    made = {tuple(row) for row in tables["creatives"][["product_id", *COPY]].itertuples(index=False)}
    proposed = {tuple(row) for row in rows[["product_id", *COPY]].itertuples(index=False)}
    assert not made & proposed
    # every other combination of campaign a: 2 products x 2 of each of four texts, without the two that exist
    assert len({row for row in proposed if row[0] != "sofa"}) == 2 * 2**4 - 2
    # campaign b has one product, one template, one call and one palette, and two headlines, of which one exists
    assert {row[2] for row in proposed if row[0] == "sofa"} == {"Our brand"}


def test_equal_ads_have_equal_ids_whatever_seed_drew_them(tables):
    one, other = (
        product_ads(tables, 30, BY_PEOPLE, seed=seed)[0].rows.set_index(["campaign", "product_id", *COPY])
        for seed in (0, 1)
    )
    shared = one.index.intersection(other.index)
    assert len(shared) > 20 and one.loc[shared, "creative_id"].equals(other.loc[shared, "creative_id"])
    served = {**tables, "creatives": pd.concat([tables["creatives"], one.reset_index()], ignore_index=True)}
    again = product_ads(served, 30, BY_PEOPLE, seed=0)[0]
    pool = fill_pool(served, [again], Standards(), by_length, 3)
    assert len(again) == len(one) and pool.creatives.empty and pool.refused == {IN_CATALOGUE: len(one)}
    dearer = {**served, "products": served["products"].assign(price=served["products"]["price"] + 1)}
    with_price = one.index.get_level_values("template") == "price-tag"
    anew = product_ads(dearer, 30, BY_PEOPLE, seed=0)[0].rows
    assert set(one["creative_id"]) - set(anew["creative_id"]) == set(one.loc[with_price, "creative_id"])


def test_an_ad_shows_the_products_title_and_on_a_price_tag_its_price(tables):
    tables["creatives"]["template"] = ["plain", "price-tag", "price-tag", "price-tag"]
    tables["campaigns"]["locale"] = ["fr", "en"]
    rows = product_ads(tables, 30, BY_PEOPLE, seed=0)[0].rows
    facts = {(row.product_id, row.template): facts_of(row.design) for row in rows.itertuples()}
    assert facts == {
        ("shoe", "plain"): {"title": "Running Shoe"},
        ("shoe", "price-tag"): {"title": "Running Shoe", "price": "€49.50"},
        ("lamp", "plain"): {},  # its title is longer than any ad has room for
        ("lamp", "price-tag"): {"price": "€1,200.00"},
        ("sofa", "price-tag"): {"price": "310,00\xa0€"},
    }


@pytest.mark.parametrize(
    ("price", "currency", "locale", "written"),
    [
        (1245.0, "CNY", "zh-CN", "¥1,245.00"),
        (1245.0, "EUR", "de_DE", "1.245,00\xa0€"),
        (999.0, "JPY", "ja", "￥999"),
        (5.0, "USD", "tlh", "$5.00"),  # a locale that Babel does not know
        (0.0, "USD", "en", None),
        (-3.0, "USD", "en", None),
        (float("nan"), "USD", "en", None),
        (None, "USD", "en", None),
    ],
)
def test_prices_are_written_as_the_locale_does(price, currency, locale, written):
    assert written_price(price, currency, locale) == written


@pytest.mark.parametrize("design", [None, float("nan"), "", "{", "[1]", '{"title": 3}', '{"grid": "2x2"}'])
def test_the_designs_of_other_systems_say_nothing_of_the_product(design):
    assert facts_of(design) == {}


def test_the_pool_keeps_the_pixels_and_adds_no_image(tables):
    pool = fill_pool(tables, [product_ads(tables, 3, BY_PEOPLE, seed=0)[0]], Standards(), by_length, 3)
    assert list(pool.creatives.columns) == [column.name for column in TABLES["creatives"].columns]
    assert list(pool.images.columns) == [column.name for column in TABLES["images"].columns] and pool.images.empty
    contents = tables["images"].set_index("image_id")["image"]
    for image, picture in zip(pool.creatives["image_id"], pool.pictures, strict=True):
        assert encode_png(picture) == contents[image]
    assert pool.ranking.groupby("creative_id").size().eq(2).all()
    # an image of the shop's stays one to learn from when such an ad is served
    served = {**tables, "creatives": pd.concat([tables["creatives"], pool.creatives], ignore_index=True)}
    assert set(photos_of(served)["image_id"]) == {"i-shoe", "i-lamp", "i-sofa"}


def test_no_product_takes_all_places_of_a_campaign(tables):
    """With a score for shoes alone, lamps still get a third of the places; alone in its campaign a product has all."""

    def shoes(creatives, pictures):
        return (creatives["product_id"] == "shoe").to_numpy(np.float64)[:, None]

    pool = fill_pool(tables, [product_ads(tables, 6, BY_PEOPLE, seed=0)[0]], Standards(), shoes, 6)
    counts = pool.creatives.groupby("campaign")["product_id"].value_counts()
    assert counts["a"].to_dict() == {"shoe": 4, "lamp": 2} and set(counts["b"].index) == {"sofa"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tables: tables["images"].drop(index=0), "has no photo"),
        (lambda tables: _with_photo(tables, photo(1, side=1)), "its photo is less than 16 pixels wide or high"),
        (
            lambda tables: _with_photo(tables, encode_png(np.full((40, 40, 3), 200, np.uint8))),
            "its photo shows nothing",
        ),
        (lambda tables: _with_photo(tables, photo(1)[:300]), "its photo cannot be read (the picture is damaged"),
        (lambda tables: _with_photo(tables, b"<svg/>"), "its photo cannot be read ("),
    ],
    ids=["absent", "1x1", "blank", "cut off", "no picture"],
)
def test_a_product_without_a_usable_photo_is_in_no_ad(tables, change, reason):
    tables["images"] = change(tables)
    proposals, (remark,) = product_ads(tables, 4, BY_PEOPLE, seed=0)
    assert remark.startswith(f"1 advertised products are in no new ad: {reason}")
    assert set(proposals.rows["product_id"]) == {"lamp", "sofa"}


def _with_photo(tables, content: bytes) -> pd.DataFrame:
    return tables["images"].assign(image=[content, *tables["images"]["image"][1:]])


def test_a_placeholder_is_no_photo(tables):
    tables["products"]["image_id"] = "i-shoe"
    more = tables["products"].assign(product_id=["w", "x", "y", "z"])
    tables["products"] = pd.concat([tables["products"], more], ignore_index=True)
    proposals, (remark,) = product_ads(tables, 4, BY_PEOPLE, seed=0)
    assert not len(proposals) and remark.startswith("3 advertised products") and "shares its photo with 4" in remark


@pytest.mark.parametrize("missing", ["products", "images"])
def test_without_products_or_images_there_is_none_and_a_reason(tables, missing):
    del tables[missing]
    proposals, remarks = product_ads(tables, 4, BY_PEOPLE, seed=0)
    assert not len(proposals) and remarks == (f"no ads with photos of products: no table {missing}",)
    pool = fill_pool(tables, [proposals], Standards(), by_length, 4)
    assert pool.creatives.empty and pool.images.empty and pool.drawn == 0


def test_generated_and_product_ads_compete_for_the_same_places(tables, photos):
    class Grey:
        name, shape, categories, segments = "grey-1", (12, 12, 1), ("shoes",), 2

        def sample(self, category, segment, seed, traits=None):
            return np.random.default_rng(seed).integers(0, 256, (len(category), 12, 12, 1), dtype=np.uint8)

    def score(creatives, pictures):
        return np.full((len(creatives), 2), 0.5 if pictures is None else 0.4)

    proposals = [generated_ads(tables, [Grey()], 4, seed=0), product_ads(tables, 4, BY_PEOPLE, seed=0)[0]]
    from components.generators.quality.photo_manifold import Manifold
    from components.images import PictureEncoder

    manifold = Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, 8))
    pool = fill_pool(tables, proposals, Standards(manifold, 0.0), score, 4)
    assert set(pool.creatives["origin"]) <= {PRODUCT_ADS, "grey-1"} and PRODUCT_ADS in set(pool.creatives["origin"])
    made = pool.creatives["origin"] == "grey-1"
    assert set(pool.images["image_id"]) == set(pool.creatives.loc[made, "image_id"])
    assert IN_CATALOGUE not in pool.refused
