"""Reviews of new creatives: kept with who, when and why, and honoured by pools, the export, the server and the list."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from upath import UPath

from components.ads.admission import Standards
from components.ads.inspection.inspector import Inspector
from components.ads.pools.pool import fill_pool
from components.ads.pools.product_ads import Written, product_ads
from components.ads.pools.review_list import review_list
from components.ads.pools.reviews import Reviews, design_keys
from components.ads.rendering.ad_sizes import ad_sizes
from components.cli.creatives import creatives as command
from components.contract.files.tables import read_json, write_bytes, write_json, write_table
from components.images import encode_png
from components.registry.creative_reviews import read_reviews, record_reviews
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import AdsConfig
from components.workflow.creative_review import rejected_ids, write_reviews
from components.workflow.publishing.export import export_to
from tests.components.policies.packages import package, write
from tests.components.serving.scene import NAME, crowned

SIZES = ad_sizes(("300x250",))


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Two campaigns, English and Chinese, with two products each, and one headline that no table backs."""
    random = np.random.default_rng(0)
    photos = [encode_png(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(2)]
    return {
        "campaigns": pd.DataFrame({"campaign": ["a", "b"], "locale": ["en", "zh-CN"], "brand_color": None}),
        "products": pd.DataFrame(
            {"product_id": ["p1", "p2"], "category": "coats", "title": ["Wool Coat", "Parka"], "image_id": ["i1", "i2"]}
        ).assign(price=[59.0, 80.0], brand=None),
        "images": pd.DataFrame({"image_id": ["i1", "i2"], "image": photos}),
        "creatives": pd.DataFrame(
            {
                "creative_id": ["c1", "c2", "c3", "c4"],
                "campaign": ["a", "a", "b", "b"],
                "origin": "people",
                "product_id": ["p1", "p2", "p1", "p2"],
                "template": ["plain", "badge", "plain", "split"],
                "headline": ["Warm days", "Rated five stars", "轻柔面料", "经久耐穿"],
                "call_to_action": ["Shop now", "See more", "立即购买", "去看看"],
                "palette": ["warm", "cool", "mono", "warm"],
            }
        ),
    }


NO_REVIEWS = Reviews()


def pool_of(tables, reviews=NO_REVIEWS, inspector=None, per_campaign=2):
    proposals, _ = product_ads(tables, per_campaign, Written({}, "EUR", 0.0), seed=0)
    inspector = inspector or Inspector(tables["campaigns"], SIZES, AdsConfig())
    score = lambda rows, _pictures: np.arange(len(rows), dtype=float)[:, None]  # noqa: E731
    return fill_pool(
        tables, [proposals], Standards(facts={}, sizes=SIZES), score, per_campaign, inspect=inspector, reviews=reviews
    )


def test_what_people_rejected_is_not_admitted_again_under_any_id(tables):
    first = pool_of(tables)
    (key,) = design_keys(first.creatives.iloc[[0]])
    again = pool_of(tables, Reviews({key: "was rejected by Ann on 2026-11-27: dull"}))
    assert key not in design_keys(again.creatives) and len(again.creatives) == len(first.creatives) == 4
    assert again.refused["was rejected by Ann on 2026-11-27: dull"] == 1
    renamed = first.creatives.iloc[[0]].assign(creative_id="other", design='{"price": "€1.00"}')
    assert design_keys(renamed) == [key] and rejected_ids(renamed, frozenset([key])) == {"other"}
    assert design_keys(renamed.assign(headline="Another")) != [key]


def test_with_approval_required_only_approved_creatives_enter_and_the_others_wait(tables):
    unseen = pool_of(tables, Reviews(required=True))
    assert unseen.creatives.empty and len(unseen.waiting) == 4
    assert unseen.remarks()[1] == "pool: 4 new ads wait until people approve them (`adloom creatives review`)"
    key = design_keys(unseen.waiting)[2]
    pool = pool_of(tables, Reviews(approved=frozenset([key]), required=True))
    assert design_keys(pool.creatives) == [key] and key not in design_keys(pool.waiting)


def test_the_list_shows_each_refusal_with_its_rule_and_its_picture(tables):
    inspector = Inspector(tables["campaigns"], SIZES, AdsConfig())
    pool = pool_of(tables, inspector=inspector)
    listed, pictures = review_list(pool, inspector.drawn, SIZES[0])
    refused = listed[listed["status"] == "refused"]
    assert set(refused["rule"]) == {"grounded"} and len(refused) <= 3
    assert set(refused["reason"]) == {"makes a claim of rating that no table backs"}
    assert set(refused["picture"]) == set(pictures) and all(png[1:4] == b"PNG" for png in pictures.values())
    chinese = listed[(listed["campaign"] == "b") & (listed["status"] == "admitted")]
    assert set(chinese["marks"]) == {"广告"} and listed.loc[listed["campaign"] == "a", "marks"].isna().all()


@pytest.fixture
def paths(tmp_path, tables) -> Paths:
    """The folders of a data set whose last run listed creatives."""
    paths = Paths.of("shop", workdir=str(tmp_path / "artifacts"))
    inspector = Inspector(tables["campaigns"], SIZES, AdsConfig())
    listed, pictures = review_list(pool_of(tables, inspector=inspector), inspector.drawn, SIZES[0])
    write_table(listed, paths.stage("creatives") / "review" / "creatives.parquet")
    for name, png in pictures.items():
        write_bytes(png, paths.stage("creatives") / name)
    return paths


def said(paths: Paths, *options: str, columns: int = 80) -> str:
    """What `adloom creatives review shop` prints; UserError as the command line shows it."""
    arguments = ["review", "shop", "--workdir", str(paths.artifacts.parent), *options]
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(command, arguments, obj="params.yaml")
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code in (0, 2), result.output
    return result.output


def test_a_review_is_kept_with_who_when_and_why_and_the_next_run_reads_it(store, paths):
    (one, two, *_) = [row for row in json.loads(said(paths, "--json")) if row["status"] == "admitted"]
    assert one["verdict"] is None and one["review"] is None
    told = said(paths, "--reject", one["creative_id"], "--why", "too dark", "--who", "Ann")
    assert told.startswith(f"{one['creative_id']} was rejected by Ann on 20") and told.rstrip().endswith(": too dark")
    (made,) = json.loads(said(paths, "--approve", two["creative_id"], "--who", "Bob", "--json"))
    assert made["approved"] and made["who"] == "Bob" and made["when"].endswith("+00:00")
    rows = {row["creative_id"]: row for row in json.loads(said(paths, "--json"))}
    assert rows[one["creative_id"]]["verdict"] == "rejected" and rows[two["creative_id"]]["verdict"] == "approved"
    write_reviews(store, NAME, paths)
    decisions = read_json(paths.reviews)
    assert [decision["key"] for decision in decisions] == sorted([one["key"], two["key"]])
    assert Reviews.of(decisions, required=False).rejected[one["key"]].endswith(": too dark")
    said(paths, "--approve", one["creative_id"], "--who", "Cleo")  # the latest counts, the earlier ones stay
    assert read_reviews(store, NAME)[one["key"]].who == "Cleo"
    write_reviews(store, NAME, paths)
    assert not Reviews.of(read_json(paths.reviews), required=False).rejected


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_list_fits_the_terminal_but_for_file_names(store, paths, columns):
    lines = said(paths, columns=columns).splitlines()
    assert all(len(line) <= min(columns, 80) or line.endswith(".png") for line in lines)
    words = " ".join(" ".join(lines).split())
    assert lines[-1].startswith("0 waiting, 4 admitted, ") and "no table backs (rule: grounded)" in words


def test_what_makes_no_sense_is_named_and_nothing_is_recorded(store, paths):
    rows = json.loads(said(paths, "--json"))
    admitted = next(row["creative_id"] for row in rows if row["status"] == "admitted")
    refused = next(row["creative_id"] for row in rows if row["status"] == "refused")
    for options, words in (
        (("--reject", admitted), "--why: say why"),
        (("--reject", admitted, "--why", "x" * 1001), "--why: write at most 1000 characters, not 1001"),
        (("--reject", "no-such", "--why", "x"), "no-such: no new creative of shop has this id"),
        (("--approve", refused), "no table backs (rule 'grounded'); a review approves no refused ad"),
    ):
        with pytest.raises(UserError) as told:
            said(paths, *options)
        assert words in str(told.value)
    assert "both approved and rejected" in said(paths, "--approve", admitted, "--reject", admitted, "--why", "x")
    assert read_reviews(store, NAME) == {}
    with pytest.raises(UserError, match="no run has listed creatives here; `adloom run shop`"):
        said(Paths.of("shop", workdir=str(Path(paths.artifacts) / "elsewhere")))


def test_a_rejected_creative_of_the_champion_leaves_its_export_at_once(store, paths, tables, tmp_path):
    folder, made = tmp_path / "policy", pool_of(tables).creatives
    (folder / "pool" / "ads").mkdir(parents=True)
    write(folder, package(0.75, new=tuple(made["creative_id"])))
    write_table(made, UPath(folder) / "pool" / "creatives.parquet")
    names = {f"{name}-300x250.png": {"creative_id": name, "size": "300x250"} for name in made["creative_id"]}
    for name in names:
        (folder / "pool" / "ads" / name).write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
    write_json(names, UPath(folder) / "pool" / "ads.json")
    crowned(store, folder)
    out = paths.artifacts / "out"
    before = export_to(out, "shop", paths)
    assert len(before["ads"]) == 4 and before["withdrawn"] == []
    gone = made["creative_id"].iloc[0]
    record_reviews(store, NAME, {design_keys(made)[0]: gone}, approved=False, who="Ann", why="dull")
    after = export_to(out, "shop", paths)
    assert after["withdrawn"] == [gone] and f"{gone}-300x250.png" not in after["ads"] and len(after["ads"]) == 3
    kept = {name: digest for name, digest in before["files"].items() if not name.startswith(f"ads/{gone}")}
    assert after["files"] == kept, "the judged files are exported byte for byte"
