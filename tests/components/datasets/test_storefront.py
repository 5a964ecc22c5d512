"""The data set `storefront`: the real catalogue as it is in the package, and shoppers that its law describes."""

import io
import sys
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.validation.validate import validate
from components.datasets import build, verify
from components.datasets.marketplace import build_tables as marketplace_tables
from components.datasets.packages.package_download import DEFAULT_CACHE
from components.datasets.shipped_digests import committed_digests
from components.datasets.storefront import build_tables, load_archive, read_goods
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from components.settings.sections import ValidationConfig
from components.simulator import load_scenario, truth

SHIPPED = load_settings(ROOT / "params.yaml", "storefront").simulator
SMALL = SHIPPED.model_copy(update={"shoppers": 200, "events": 2000, "impressions": 3000, "days": 4})


@pytest.fixture(scope="module")
def archive():
    try:
        return load_archive(DEFAULT_CACHE)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def tables(archive):
    return build_tables(SMALL, archive)[0]


def test_the_catalogue_is_the_packages(archive):
    goods = read_goods(archive, 6)
    products = goods.products.set_index("product_id")
    assert len(products) == products.index.nunique() == len(goods.images) == 54
    assert products["category"].value_counts().to_dict() == {
        "Computers": 11, "Furniture": 11, "Photo": 9, "Plants": 9, "Equipment": 8, "Footwear": 6
    }  # fmt: skip
    laptop = products.loc["laptop"]
    assert (laptop["title"], laptop["brand"], laptop["price"]) == ("Laptop", "Apple", 1299.0)
    assert laptop["description"].startswith("Now equipped with seventh-generation Intel Core processors")
    assert pd.isna(products.loc["tent", "brand"])
    assert products["image_id"].tolist() == goods.images["image_id"].tolist()
    sides = np.array([Image.open(io.BytesIO(content)).size for content in goods.images["image"]])
    assert sides.min() == 800 and sides.max() == 1600


def test_the_assortment_of_the_law_is_that_of_the_catalogue(archive):
    products, sells = read_goods(archive, 6).products, load_scenario("storefront").sells
    assert set(products["category"]) == set(sells.categories)
    assert set(products["brand"].dropna()) == set(sells.brands)
    assert sells.catalogue == len(products)
    logs = np.log(products["price"])
    assert abs(logs.mean() - sells.log_price) < 0.05 and abs(logs.std() - sells.price_spread) < 0.05


def test_each_campaign_advertises_its_own_products_of_every_large_category(tables):
    shown = tables["creatives"].merge(tables["products"], on="product_id")
    assert len(tables["creatives"]) == 162
    assert shown.groupby("campaign")["product_id"].nunique().tolist() == [9] * 6
    assert shown["product_id"].nunique() == 54
    assert shown.groupby("campaign")["category"].nunique().min() == 6
    assert set(tables["campaigns"]["locale"]) == {"en"}
    assert tables["creatives"]["headline"].str.isascii().all()


def test_two_builds_are_equal_to_the_byte_and_another_scenario_has_its_own_folder(archive, tmp_path):
    folders = [build("storefront", UPath(tmp_path / copy), SMALL).folder for copy in ("a", "b")]
    assert digest_tree(folders[0]) == digest_tree(folders[1])
    own = tmp_path / "own.yaml"
    own.write_text("extends: storefront\nid: calm\neffects: {quality: 0.0}\n")
    built = build("storefront", UPath(tmp_path / "a"), SMALL.model_copy(update={"scenario": str(own)}))
    assert built.name == "storefront-calm"


def test_scenarios_of_another_shop_are_refused(archive, photos):
    with pytest.raises(UserError, match=r"simulator\.scenario baseline sells fashion; write `storefront`"):
        build_tables(SMALL.model_copy(update={"scenario": "baseline"}), archive)
    with pytest.raises(
        UserError, match=r"marketplace: simulator\.scenario storefront sells storefront; write `baseline`"
    ):
        marketplace_tables(SMALL, photos)


@pytest.mark.parametrize(("name", "scenario"), [("storefront", "baseline"), ("marketplace", "storefront")])
def test_a_scenario_of_another_shop_is_refused_before_anything_is_downloaded(name, scenario, tmp_path, monkeypatch):
    module = sys.modules[build.__module__]
    monkeypatch.setattr(module, "load_photos", lambda *given: pytest.fail("downloaded"))
    monkeypatch.setattr(module.storefront, "load_archive", lambda *given: pytest.fail("downloaded"))
    with pytest.raises(UserError, match=rf"{name}: simulator\.scenario {scenario} sells"):
        build(name, UPath(tmp_path), SMALL.model_copy(update={"scenario": scenario}))
    assert not list(tmp_path.iterdir())


CATALOGUE = "name,slug,assets,facets,price,description\n"


@pytest.mark.parametrize(
    "files",
    [
        None,
        {},
        {"products.csv": b""},
        {"products.csv": b"\xff\xfe"},
        {"products.csv": b"name\na"},
        {"products.csv": CATALOGUE.encode() + b"a,a,a.jpg,category:B,1,d"},
        {"products.csv": CATALOGUE.encode() + b"a,a,a.jpg,brand:B,1,d", "images/a.jpg": b""},
        {"products.csv": CATALOGUE.encode() + b"a,a,a.jpg,category:B,much,d", "images/a.jpg": b""},
        {"products.csv": CATALOGUE.encode() + b"a,a", "images/a.jpg": b""},
    ],
    ids=str,
)
def test_another_archive_is_refused_in_one_sentence(files, tmp_path):
    path = tmp_path / "package.tgz"
    path.write_bytes(b"no archive")
    if files is not None:
        with tarfile.open(path, "w:gz") as package:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/assets/{name}")
                member.size = len(content)
                package.addfile(member, io.BytesIO(content))
    with pytest.raises(UserError, match=rf"storefront: {path} is not @vendure/create@1\.9\.7: .+"):
        read_goods(path, 6)


def test_validation_has_nothing_to_quarantine(archive):
    tables, card = build_tables(SMALL, archive)
    validated = validate(tables, card, ValidationConfig())
    assert {name: len(rows) for name, rows in validated.quarantine.items()} == dict.fromkeys(tables, 0)


def test_clicks_are_as_many_as_the_law_says(tables):
    """Given the log, clicks are independent draws of the law: |z| < 4 (error probability 6e-5)."""
    log = tables["impressions"]
    rate = truth(SMALL, tables)(log[["impression_id", "creative_id"]])
    z = (log["click"].sum() - rate.sum()) / np.sqrt((rate * (1 - rate)).sum())
    assert abs(z) < 4
    assert 0.01 < rate.mean() < 0.04


def test_what_shoppers_look_at_and_write_is_about_this_shop(tables):
    events = tables["events"]
    assert set(events["product_id"].dropna()) <= set(tables["products"]["product_id"])
    queries = events.loc[events["kind"] == "search", "text"]
    assert len(queries) > 100 and queries.str.contains("monitor|sofa|camera|plant").any()
    assert not queries.str.contains("nan|None|<NA>").any()


@pytest.mark.slow
def test_the_default_storefront_is_as_committed(archive, tmp_path):
    assert build("storefront", UPath(tmp_path), SHIPPED).fresh
    assert verify(UPath(tmp_path), "storefront") == len(committed_digests("storefront")) == 90
    assert not build("storefront", UPath(tmp_path), SHIPPED).fresh
