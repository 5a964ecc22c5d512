"""The world goes on: the same days as if it had been built longer, nothing rewritten, and a champion that shows ads."""

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.config import ValidationConfig, WorldConfig
from components.contract.tables import read_table, write_json, write_table
from components.contract.validation import load_dataset, validate
from components.contract.window import cut
from components.datasets import advance, build, read_champion, storage
from components.datasets.marketplace import build_tables
from components.datasets.storage import write_dataset
from components.errors import UserError
from components.manifest import digest_tree
from components.paths import Paths
from components.world import truth
from components.world import vocabulary as words

NAME = "marketplace"
PER_DAY = {"impressions": 1500, "events": 60}


def config(days):
    rates = {name: rate * days for name, rate in PER_DAY.items()}
    return WorldConfig(shoppers=60, campaigns=2, creatives_per_campaign=12, days=days, **rates)


def nobody(champion, tables, moment):
    raise AssertionError("without a champion nobody asks for segments")


@pytest.fixture(scope="module")
def three_days(photos):
    return build_tables(config(3), photos)


@pytest.fixture
def data(three_days, tmp_path):
    write_dataset(*three_days, UPath(tmp_path / "data" / NAME))
    return UPath(tmp_path / "data")


def equal(tables, others):
    """A column that the world does not write is all null once it is read."""
    assert set(tables) == set(others)
    for name, table in tables.items():
        absent = others[name].columns.difference(table.columns)
        assert set(absent) <= {"features_from"} and others[name][absent].isna().all(axis=None)
        read = others[name].drop(columns=absent)
        pd.testing.assert_frame_equal(read, table, check_dtype=False, check_column_type=False)


def test_the_world_goes_on_as_if_it_had_been_built_longer_and_a_past_day_is_as_it_was(data, photos, three_days):
    before = digest_tree(data / NAME)
    advance(NAME, data, 1, None, nobody)
    done = advance(NAME, data, 6, None, nobody)
    tables, card = load_dataset(data / NAME)
    longer, its_card = build_tables(config(10), photos)
    assert card.ends_at == its_card.ends_at == done.ends_at
    assert done.impressions == 6 * PER_DAY["impressions"]
    assert done.settled > 20  # clicks of the first days, or nothing is tested
    assert longer["impressions"]["conversion"].sum() > 0
    equal(longer, tables)
    shorter, short_card = cut(tables, card, ValidationConfig(as_of=three_days[1].ends_at))
    equal(three_days[0], shorter)
    assert short_card.ends_at == three_days[1].ends_at
    after = digest_tree(data / NAME)
    assert {name for name in before if before[name] != after[name]} == {"dataset.yaml"}
    assert "impressions/day=2026-01-05/settled-2026-01-15.parquet" in after.keys() - before.keys()


def test_a_build_leaves_the_days_that_were_added(data):
    advance(NAME, data, 1, None, nobody)
    before = digest_tree(data / NAME)
    assert not build(NAME, data, config(3)).fresh
    assert digest_tree(data / NAME) == before


def pool_of(tables, made=3):
    """New creatives of each campaign: a generator's words on a person's product, each with a picture of its own."""
    people = tables["creatives"].drop(columns="feature_prior").groupby("campaign").head(made)
    ids = [f"{row.campaign}-made-{place:04d}" for place, row in enumerate(people.itertuples())]
    images = tables["images"].head(len(ids)).assign(image_id=[f"image-{name}" for name in ids], split=None)
    creatives = people.assign(creative_id=ids, image_id=list(images["image_id"]), origin="wgan-1", seed=1)
    return creatives.reset_index(drop=True), images.reset_index(drop=True)


@pytest.fixture
def paths(three_days, data):
    """A run's export and package as `adloom run` leaves them; the decisions love each campaign's first creative."""
    tables = three_days[0]
    paths = Paths.of(NAME, str(data / NAME), str(data.parent / "artifacts"))
    creatives, images = pool_of(tables)
    old = tables["creatives"][["creative_id", "campaign"]]
    weight = np.where(old.groupby("campaign").cumcount() == 0, 9.5, 0.95 * 0.5 / 11)
    listed = pd.concat([old.assign(probability=weight), creatives[["creative_id", "campaign"]].assign(probability=0.1)])
    listed["probability"] /= listed.groupby("campaign")["probability"].transform("sum")
    cells = pd.MultiIndex.from_product([[0, 1], words.PLACEMENTS], names=["segment", "placement"]).to_frame(index=False)
    decisions = cells.merge(listed, how="cross").assign(impressions=10)
    package = paths.stage("promotion") / "policy"
    for folder in (package, paths.export):
        write_table(decisions, folder / "decisions.parquet")
    write_table(creatives, package / "pool" / "creatives.parquet")
    write_table(images, package / "pool" / "images.parquet")
    write_json({"temperature": 0.1, "exploration": 0.05}, package / "policy.json")
    write_json({}, package / "model" / "features" / "features.json")
    write_json({"policy_version": 7, "files": digest_tree(paths.export)}, paths.export / "manifest.json")
    return paths


def halves(champion, tables, moment):
    return {shopper: place % 2 for place, shopper in enumerate(tables["shoppers"]["shopper_id"])}


def test_the_champion_shows_its_new_creatives_with_true_propensities(data, paths, three_days):
    champion = read_champion(paths)
    done = advance(NAME, data, 1, champion, halves)
    tables, card = load_dataset(data / NAME)
    checked = validate(tables, card, ValidationConfig())
    assert sum(len(rows) for rows in checked.quarantine.values()) == 0
    log = tables["impressions"].iloc[len(three_days[0]["impressions"]) :]
    assert done.policy == "champion-7"
    assert set(log["logging_policy"]) == {"champion-7"}
    assert done.new_creatives == 6
    new = tables["creatives"][tables["creatives"]["origin"] == "wgan-1"]
    assert (new["active_from"] == card.ends_at - pd.Timedelta(days=1)).all()
    offers = tables["candidates"][tables["candidates"]["impression_id"].isin(set(log["impression_id"]))]
    favourite = tables["creatives"].groupby("campaign")["creative_id"].first()
    met = offers[offers["creative_id"].isin(set(favourite))]
    assert met["propensity"].min() > 0.9
    assert (log["creative_id"].isin(set(favourite))).mean() > 0.5 * len(met) / len(log)
    assert log["creative_id"].isin(set(new["creative_id"])).any()
    pairs = log[["impression_id"]].assign(creative_id=new["creative_id"].iloc[0])
    assert ((p := truth(card.world, tables)(pairs)) > 0).all() and (p < 1).all()  # the law judges them as any other


def test_a_second_night_adds_no_creative_twice_and_another_champion_adds_its_own(data, paths):
    first = read_champion(paths)
    advance(NAME, data, 1, first, halves)
    assert advance(NAME, data, 8, first, halves).new_creatives == 0
    package = paths.stage("promotion") / "policy"
    creatives, images = (pd.read_parquet(str(package / "pool" / f"{name}.parquet")) for name in ("creatives", "images"))
    others = {"creative_id": creatives["creative_id"] + "-other", "image_id": images["image_id"] + "-other"}
    write_table(creatives.assign(**others), package / "pool" / "creatives.parquet")
    write_table(images.assign(image_id=others["image_id"]), package / "pool" / "images.parquet")
    decisions = pd.read_parquet(str(package / "decisions.parquet"))
    renamed = decisions["creative_id"].replace(dict(zip(creatives["creative_id"], others["creative_id"], strict=True)))
    for folder in (package, paths.export):
        write_table(decisions.assign(creative_id=renamed), folder / "decisions.parquet")
    write_json({"policy_version": 8, "files": digest_tree(paths.export)}, paths.export / "manifest.json")
    assert advance(NAME, data, 1, read_champion(paths), halves).new_creatives == 6
    ids = read_table(data / NAME, "creatives", ["creative_id"])["creative_id"]
    assert ids.is_unique


def test_no_export_means_no_champion_and_a_lost_package_is_named(paths, tmp_path):
    assert read_champion(Paths.of("openbandit", workdir=str(tmp_path))) is None
    write_table(pd.DataFrame({"a": [1]}), paths.stage("promotion") / "policy" / "decisions.parquet")
    with pytest.raises(UserError, match=r"no longer in .*`adloom run marketplace`"):
        read_champion(paths)


@pytest.mark.parametrize(
    ("days", "words_due"), [(0, "--days 0: .*1 day or more"), (-3, "--days -3"), (400, "campaigns end on 2027-01-05")]
)
def test_days_that_make_no_sense_are_refused(data, days, words_due):
    before = digest_tree(data / NAME)
    with pytest.raises(UserError, match=words_due):
        advance(NAME, data, days, None, nobody)
    assert digest_tree(data / NAME) == before


def test_only_a_simulated_data_set_that_is_there_goes_on(data, three_days):
    with pytest.raises(UserError, match="no data set in"):
        advance("supermarket", data, 1, None, nobody)
    write_dataset(three_days[0], three_days[1].model_copy(update={"world": None, "name": "own"}), data / "own")
    with pytest.raises(UserError, match="own: real data"):
        advance("own", data, 1, None, nobody)


def test_a_log_that_the_world_did_not_make_is_refused(data, three_days):
    tables, card = three_days
    log = tables["impressions"]
    other = log.assign(click=np.where(np.arange(len(log)) == 5, 1 - log["click"], log["click"]))
    write_dataset({**tables, "impressions": other}, card, data / NAME)
    with pytest.raises(UserError, match="impressions of 2026-01-05 are not those that the simulated world made"):
        advance(NAME, data, 7, None, nobody)


def test_a_failure_half_way_leaves_what_was_there(data, monkeypatch):
    before = digest_tree(data / NAME)

    def full(card, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(storage, "write_card", full)
    with pytest.raises(OSError, match="No space left"):
        advance(NAME, data, 1, None, nobody)
    assert digest_tree(data / NAME) == before
    assert [path.name for path in data.iterdir()] == [NAME]


def test_the_command_asks_the_champions_own_features_for_the_segments(three_days):
    from components.cli.data import segments_of
    from components.config import FeaturesConfig
    from components.datasets import Champion
    from components.features import build_features, fit_features

    tables, card = three_days
    model = fit_features(tables, FeaturesConfig(), card.ends_at)
    champion = Champion("champion-1", pd.DataFrame(), 0.05, {}, model.files())
    segments = segments_of(champion, tables, pd.Timestamp(card.ends_at))
    profiles = build_features(model, tables, FeaturesConfig()).shopper_profiles
    assert set(segments) == set(tables["shoppers"]["shopper_id"])
    assert len(set(segments.values())) > 1
    assert [segments[shopper] for shopper in profiles["shopper_id"]] == list(profiles["segment"])
