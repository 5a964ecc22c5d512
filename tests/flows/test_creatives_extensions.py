"""A further family of generators, a further ad size and banned words: stage, registry and `adloom generate`."""

import json
from io import BytesIO

import pytest
from PIL import Image
from upath import UPath

from components.ads.rendering.ad_sizes import AD_SIZES, AdSize
from components.contract.files.tables import read_frame, read_json
from components.generators.generator_kinds import FAMILIES
from components.registry.mlflow_store import open_store, version_of
from components.registry.promotion import CHAMPION
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.workflow import run_stage
from components.workflow.generate import GenerateRequest, generate
from components.workflow.publishing.publication import charge, publish, snapshot
from tests.components.generators.class_means import FAMILY
from tests.flows.conftest import copied

pytestmark = pytest.mark.slow

EVERYTHING_PASSES = ("creatives.min_cas=0.0", "creatives.min_category_match=0.0", "creatives.min_diversity=0.0")


def remarks_of(paths) -> set[str]:
    """Every headline that a new ad of this package may bear."""
    about = read_json(paths.stage("creatives") / "model" / "about.json")
    pool = read_frame(paths.stage("creatives") / "pool" / "creatives.parquet")["headline"]
    chosen = [headline for campaign in about["campaigns"] for headline in campaign["headline"]]
    return {*chosen, *(text["headline"] for text in about["texts"]), *pool.dropna()} - {None}


def test_a_family_a_size_and_banned_words_act_in_the_pipeline(ready, built_shop, tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "means", FAMILY)
    monkeypatch.setitem(AD_SIZES, "250x250", AdSize(250, 250))
    paths = copied(ready, tmp_path / "artifacts")
    headlines = sorted(read_frame(paths.data / "creatives.parquet")["headline"].dropna().unique())
    english = next(text for text in headlines if text.isascii())
    overrides = (
        *("creatives.generators=[means]", "creatives.means.spread=1.0", "creatives.restarts=0", *EVERYTHING_PASSES),
        *(
            "ads.pictures=generated",
            "ads.sizes=[300x250, 250x250]",
            f"ads.banned_words={json.dumps({'en': [english.upper()]})}",
        ),
    )
    settings = load_settings(built_shop.params, "marketplace", overrides)
    snapshot("marketplace", settings, paths)
    assert run_stage.run("creatives", settings, paths)
    assert not run_stage.run("creatives", settings, paths)
    made, record = paths.stage("creatives"), read_json(paths.stage("creatives") / "metrics.json")
    assert record["pool"], record["remarks"]
    assert list(record["generators"]) == ["means-3"] and record["generators"]["means-3"]["steps"] == 200
    assert set(read_frame(made / "pool" / "creatives.parquet")["origin"]) == {"means-3"}
    assert english not in remarks_of(paths) and remarks_of(paths)
    assert any(english.upper() in remark and "ads.banned_words.en" in remark for remark in record["remarks"])
    ads = read_json(made / "pool" / "ads.json")
    assert len(ads) == 2 * record["pool"] and set(ads) == {file.name for file in (made / "pool" / "ads").iterdir()}
    for name, ad in ads.items():
        image = Image.open(BytesIO((made / "pool" / "ads" / name).read_bytes()))
        assert "x".join(map(str, image.size)) == ad["size"] and name.endswith(f"-{ad['size']}.png")
    assert {"ads-300x250.png", "ads-250x250.png", "means-3.png"} <= {file.name for file in (made / "boards").iterdir()}

    charge("marketplace", settings, paths)
    for name in ("evaluation", "promotion"):
        run_stage.run(name, settings, paths)
    publish("marketplace", settings, paths, "a test")
    assert version_of(open_store(), "marketplace-creatives", CHAMPION) is not None
    out = UPath(tmp_path / "new")
    generate("marketplace", out, GenerateRequest(3, None, None, None, 0))
    rows = read_json(out / "manifest.json")["creatives"]
    assert {row["generator"] for row in rows} == {"means-3"} and english not in {row["headline"] for row in rows}
    assert all(
        [Image.open(BytesIO((out / ad).read_bytes())).size for ad in row["ads"]] == [(300, 250), (250, 250)]
        for row in rows
    )

    changed = load_settings(built_shop.params, "marketplace", (*overrides, "ads.sizes=[300x250]"))
    assert run_stage.stage_manifest("creatives", changed, paths) != run_stage.stage_manifest(
        "creatives", settings, paths
    )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("ads.sizes=[300x251]", r"ads\.sizes: no ad size is called '300x251'"),
        ("creatives.generators=[gan]", r"creatives\.generators: no family of generators is called 'gan'"),
    ],
)
def test_an_unknown_name_stops_a_run_before_its_first_stage(ready, built_shop, override, words):
    with pytest.raises(UserError, match=words):
        snapshot("marketplace", load_settings(built_shop.params, "marketplace", (override,)), ready)
