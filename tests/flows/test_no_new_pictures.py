"""Where no new pictures can be made, the report says why, and features, interest, evaluation and promotion go on."""

import json

import numpy as np
import pandas as pd
import pytest

from components.contract.escaping import markdown
from components.contract.files.digests import digest_tree
from components.contract.files.tables import write_json
from components.contract.origins import PRODUCT_ADS
from components.images import encode_png
from components.settings.params_file import load_settings
from components.settings.paths import STAGES, Paths
from components.workflow import run_stage, stages
from components.workflow.caching.manifests import read_manifest
from components.workflow.pool_files import shows_generated
from tests.flows.conftest import copied

pytestmark = pytest.mark.slow
ANY_PASSES = ("creatives.min_cas=0.0", "creatives.min_category_match=0.0", "creatives.min_diversity=0.0")


def spoil(paths: Paths, table: str, change) -> None:
    """Validated rows of `table` after `change`, as if validation had written them."""
    folder = paths.stage("validation")
    file = folder / f"{table}.parquet"
    change(pd.read_parquet(file)).to_parquet(file)
    write_json({**read_manifest(folder).to_dict(), "outputs": digest_tree(folder)}, folder / "manifest.json")


def placeholder(images: pd.DataFrame) -> pd.DataFrame:
    """Every photo is the same picture of a camera, say."""
    picture = encode_png(np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8))
    return images.assign(image=[picture] * len(images))


def blank(images: pd.DataFrame) -> pd.DataFrame:
    return images.assign(image=[encode_png(np.full((8, 8, 3), grey % 256, np.uint8)) for grey in range(len(images))])


def creatives_of(paths: Paths, built_shop, *overrides: str) -> dict:
    settings = load_settings(
        built_shop.params, "marketplace", ("ads.pictures=generated", "ads.markets={zh-CN: none}", *overrides)
    )
    stages.creatives(settings.of_stage("creatives"), paths)
    record = json.loads((paths.stage("creatives") / "metrics.json").read_text())
    page = (paths.docs / "creatives.md").read_text()
    assert all(markdown(remark) in page for remark in record["remarks"])
    return record


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda images: images.groupby("category").head(13), "no category has 20 photos of split 'train'"),
        (placeholder, "photos that 5 images or more share: left out"),
        (blank, "photos of one single colour: left out"),
        (lambda images: images.assign(category=None), "no photo has a category"),
        (lambda images: images.assign(split="test"), "no photo is of split 'train'"),
        (
            lambda images: images.assign(split=["test"] * 3 + ["train"] * (len(images) - 3)),
            "3 photos of split",
        ),
    ],
    ids=["few", "placeholder", "blank", "uncategorised", "only test", "few to judge by"],
)
def test_photos_that_teach_nothing_are_named(ready, built_shop, tmp_path, change, reason):
    paths = copied(ready, tmp_path)
    spoil(paths, "images", change)
    spoil(paths, "products", lambda products: products.assign(image_id=None))  # else photos get their categories
    record = creatives_of(paths, built_shop)
    (remark,) = record["remarks"]
    assert remark.startswith("no new images were made: images: ") and reason in remark
    assert record["gate"] is None and record["pool"] == 0 and record["generators"] == {}


def test_where_no_generator_passes_ads_show_the_products_own_photos(ready, built_shop, tmp_path):
    """No gate of generators stops a policy whose ads show no generated image."""
    paths = copied(ready, tmp_path)
    quick = "creatives.parser_steps=0", "creatives.generators=[vae]", "creatives.restarts=0"
    record = creatives_of(paths, built_shop, "ads.pictures=product", *quick, "creatives.min_cas=1.0")
    pool = pd.read_parquet(paths.stage("creatives") / "pool" / "creatives.parquet")
    assert not record["gate"]["passed"] and record["pool"] == len(pool) > 0
    assert set(pool["origin"]) == {PRODUCT_ADS} and not shows_generated(paths.stage("creatives"))
    products = pd.read_parquet(paths.stage("validation") / "products.parquet").set_index("product_id")
    assert (pool["image_id"].to_numpy() == products.loc[pool["product_id"], "image_id"].to_numpy()).all()


def test_brand_ads_leave_the_pool_empty(ready, built_shop, tmp_path):
    paths = copied(ready, tmp_path)
    unknown = "Sale \U0010fffd"  # a sign that no font has
    spoil(paths, "creatives", lambda creatives: creatives.assign(product_id=None, headline=unknown))
    record = creatives_of(paths, built_shop, *ANY_PASSES, "creatives.parser_steps=0")
    expected_remark = (
        "no new images were made: no campaign's creatives name a product of a category that the generators know"
    )
    assert expected_remark in record["remarks"]
    assert record["gate"]["passed"] and record["pool"] == 0
    assert any("is in no new ad: no font here has" in remark and "U+10FFFD" in remark for remark in record["remarks"])


def test_one_category_with_few_photos_is_left_out_alone(ready, built_shop, tmp_path):
    paths = copied(ready, tmp_path)
    spoil(paths, "images", lambda images: images.drop(images.index[images["category"] == "bag"][15:]))
    record = creatives_of(paths, built_shop, *ANY_PASSES, "creatives.parser_steps=0", "creatives.generators=[vae]")
    assert "category bag: 15 photos, fewer than 20 that can be learned from: left out" in record["remarks"]
    assert record["gate"] is not None


def test_a_shop_with_few_photos_runs_to_its_decision(shop):
    images = pd.read_parquet(shop.data / "images.parquet")
    few = images.groupby("category").head(13)
    named = {name: pd.read_parquet(shop.data / f"{name}.parquet") for name in ("products", "creatives")}
    few = pd.concat([few, images[images["image_id"].isin(pd.concat([t["image_id"] for t in named.values()]))]])
    few = few.drop_duplicates("image_id").assign(category=None)
    few.to_parquet(shop.data / "images.parquet", index=False)
    # products would give their photos categories
    named["products"].assign(image_id=None).to_parquet(shop.data / "products.parquet", index=False)
    settings, paths = load_settings(shop.params, "marketplace"), Paths.of("marketplace")
    for name in STAGES:
        assert run_stage.run(name, settings, paths)
    decision = json.loads((paths.stage("promotion") / "decision.json").read_text())
    assert decision["evidence"]["creatives"] is None and decision["action"] in (
        "promote",
        "refuse",
        "abstain",
        "preview",
    )
    assert "no generators: see creatives.md" in (paths.docs / "promotion.md").read_text()
