"""Ads under ids that no file system would take: every file in its folder, and each leads back to its creative."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from upath import UPath

from components.ads.contact_sheets import ad_names, ads, ads_sheet, people_sheet
from components.ads.pools.pool import Pool
from components.ads.rendering.ad_sizes import AD_SIZES
from components.ads.rendering.text_fitting import undrawable
from components.images import encode_png
from components.settings.paths import ROOT
from components.workflow.caching.manifests import Manifest
from components.workflow.publishing.deployed_policy import ads_of
from components.workflow.stage_outputs import Outputs

CAMPAIGNS = [
    "../brand",
    "/etc/brand",
    "con",
    "a\0b",
    ".",
    "x" * 300,
    "品" * 100,
    "Sale",
    "sale",
    "s/le",
    "s-le",
    "plain",
]


@pytest.fixture(scope="module")
def pool() -> Pool:
    ids = [f"{campaign}-made-0123456789ab" for campaign in CAMPAIGNS[:-1]] + ["con", "..", "plain-made-0123456789ab"]
    pictures = np.full((len(ids), 8, 8, 1), 120, np.uint8)
    creatives = pd.DataFrame(
        {
            "creative_id": ids,
            "campaign": [*CAMPAIGNS[:-1], "con", "con", "plain"],
            "image_id": [f"image-{name}" for name in ids],
            **dict.fromkeys(("headline", "call_to_action", "palette", "template", "design")),
        }
    )
    images = pd.DataFrame({"image_id": creatives["image_id"], "image": [encode_png(each) for each in pictures]})
    return Pool(creatives, images, pictures, None, 0, {})


def test_every_ad_lies_in_its_folder_and_leads_back_to_its_creative(pool, tmp_path):
    out = Outputs(UPath(tmp_path / "work" / "creatives"))
    sizes = [AD_SIZES[name] for name in ("300x250", "320x50")]
    made = ads(pool, pd.DataFrame({"campaign": CAMPAIGNS, "brand_color": None}), sizes)
    for size in sizes:
        out.files("pool/ads", made[size])
    out.json("pool/ads.json", ad_names(pool, sizes))
    out.finish(Manifest(stage="creatives", settings="", code="", inputs={}, outputs={}))
    written = {path.name for path in (tmp_path / "work" / "creatives" / "pool" / "ads").iterdir()}
    assert len({name.lower() for name in written}) == 2 * len(pool.creatives)
    assert {path.name for path in tmp_path.iterdir()} == {"work"}
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"creatives"}
    named = ads_of(UPath(tmp_path / "work" / "creatives"))
    assert set(named) == written and "plain-made-0123456789ab-320x50.png" in written
    for size in sizes:
        creatives = [ad["creative_id"] for ad in named.values() if ad["size"] == size.name]
        assert sorted(creatives) == sorted(pool.creatives["creative_id"])
        assert all(Image.open(BytesIO(png)).size == (size.width, size.height) for png in made[size].values())
        assert len(ads_sheet(made[size])) > 0


def test_an_older_package_names_its_ads_after_their_ids(tmp_path):
    folder = tmp_path / "pool" / "ads"
    folder.mkdir(parents=True)
    (folder / "c1-made-1.png").write_bytes(b"")
    due = {"creative_id": "c1-made-1", "size": "300x250"}
    assert ads_of(UPath(tmp_path)) == {"c1-made-1.png": due}
    (tmp_path / "pool" / "ads.json").write_text('{"x.png": "c1-made-1"}')  # and the one after it one ad of each
    assert ads_of(UPath(tmp_path)) == {"x.png": due}
    assert ads_of(UPath(ROOT / "tests" / "flows")) == {}


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/x.png", "", "a\0b"])
def test_no_stage_writes_outside_its_folder(name, tmp_path):
    with pytest.raises(ValueError, match="no file within"):
        Outputs(UPath(tmp_path / "stage")).text(name, "")
    assert not (tmp_path / "x.png").exists()


def shop(creatives: pd.DataFrame, products: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """Two photos, red and blue, and these creatives of one campaign."""
    photos = [np.full((20, 30, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 0, 250))]
    images = pd.DataFrame({"image_id": ["red", "blue"], "image": [encode_png(photo) for photo in photos]})
    texts = {"headline": "Shop", "call_to_action": "Go", "palette": "warm", "template": "plain"}
    tables = {
        "campaigns": pd.DataFrame({"campaign": ["c"], "brand_color": [None]}),
        "creatives": creatives.assign(campaign="c", **texts),
        "images": images,
    }
    return tables if products is None else {**tables, "products": products}


def test_the_ads_of_people_show_their_own_photo_or_their_products():
    creatives = pd.DataFrame(
        {
            "creative_id": ["a", "b", "c", "d"],
            "origin": ["people", "people", "flow-3", "people"],
            "image_id": ["red", None, "red", None],
            "product_id": ["p", "p", "p", None],
        }
    )
    products = pd.DataFrame({"product_id": ["p"], "image_id": ["blue"]})
    sheet = np.asarray(Image.open(BytesIO(people_sheet(shop(creatives, products)))))
    assert sheet.shape == (250, 3 * 308 - 8, 3), "one row: two ads, and a free place"
    assert sheet[50, 150].tolist() == [250, 0, 0] and sheet[50, 308 + 150].tolist() == [0, 0, 250]
    assert (sheet[:, 2 * 308 :] == 255).all()
    only = np.asarray(Image.open(BytesIO(people_sheet(shop(creatives)))))
    assert only[50, 150].tolist() == [250, 0, 0] and (only[:, 308:] == 255).all()


def people(count: int) -> pd.DataFrame:
    names = [f"{number:03d}" for number in range(count)]
    return pd.DataFrame({"creative_id": names, "origin": "people", "image_id": "red", "product_id": None})


def test_an_ad_of_people_whose_headline_no_font_can_draw_is_left_out():
    tables = shop(people(3).assign(image_id=["red", "blue", "red"]))
    tables["creatives"].loc[1, "headline"] = "Sale \ue000"
    assert undrawable(tables["creatives"].loc[1, "headline"])
    sheet = np.asarray(Image.open(BytesIO(people_sheet(tables))))
    assert [sheet[50, column * 308 + 150].tolist() for column in (0, 1)] == [[250, 0, 0]] * 2
    assert (sheet[:, 2 * 308 :] == 255).all()
    tables["creatives"]["headline"] = "Sale \ue000"
    assert people_sheet(tables) is None


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (11, 11), (12, 12), (13, 12), (40, 12)])
def test_of_many_ads_twelve_are_shown(count, shown):
    tables = shop(people(count))
    tables["creatives"].loc[count - 1, "image_id"] = "blue"
    sheet = np.asarray(Image.open(BytesIO(people_sheet(tables))))
    rows = -(-shown // 3)
    assert sheet.shape == (rows * 258 - 8, 3 * 308 - 8, 3)
    middles = sheet[50::258, 150::308].reshape(-1, 3).tolist()
    assert middles == [[250, 0, 0]] * (shown - 1) + [[0, 0, 250]] + [[255] * 3] * (3 * rows - shown)


def test_without_images_there_is_no_sheet_of_peoples_ads():
    tables = shop(people(2))
    del tables["images"]
    assert people_sheet(tables) is None


def test_without_a_photo_there_is_no_sheet_of_peoples_ads():
    creatives = pd.DataFrame(
        {"creative_id": ["a"], "origin": ["people"], "image_id": pd.array([None], dtype="str"), "product_id": ["p"]}
    )
    assert people_sheet(shop(creatives)) is None
