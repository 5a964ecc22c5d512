"""Days are added: the same days as if it had been built longer, nothing rewritten, and a champion that shows ads."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.files.digests import digest_package, digest_tree
from components.contract.files.tables import read_table, write_table
from components.contract.time_window import restrict_to_window
from components.contract.validation.validate import load_dataset, validate
from components.datasets import build, dataset_files
from components.datasets.dataset_files import write_dataset
from components.datasets.marketplace import build_tables
from components.policies.decision_table import ANY
from components.policies.policy_package import PolicyPackage
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import SimulatorConfig, ValidationConfig
from components.simulator import truth
from components.simulator import vocabulary as words
from components.workflow.advance import advance
from components.workflow.publishing.export import export, exported_policy
from tests.components.datasets import conftest as datasets
from tests.components.policies.packages import PARAMETERS, catalogue, write

NAME = "marketplace"
PER_DAY = {"impressions": 1500, "events": 60}


def config(days):
    rates = {name: rate * days for name, rate in PER_DAY.items()}
    return SimulatorConfig(shoppers=60, campaigns=2, creatives_per_campaign=12, days=days, **rates)


all_photos, photos = datasets.all_photos, datasets.photos  # fixtures


@pytest.fixture(scope="module")
def three_days(photos):
    return build_tables(config(3), photos)


@pytest.fixture
def data(three_days, tmp_path):
    write_dataset(*three_days, UPath(tmp_path / "data" / NAME))
    return UPath(tmp_path / "data")


def equal(tables, others):
    assert set(tables) == set(others)
    for name, table in tables.items():
        absent = [column for column in others[name] if column not in table]  # read as null where a file lacks them
        assert others[name][absent].isna().all(axis=None)
        others = {**others, name: others[name].drop(columns=absent)}
        pd.testing.assert_frame_equal(others[name], table, check_dtype=False, check_column_type=False)


def test_the_world_goes_on_as_if_it_had_been_built_longer_and_a_past_day_is_as_it_was(data, photos, three_days):
    before = digest_tree(data / NAME)
    advance(NAME, data, 1, None)
    done = advance(NAME, data, 6, None)
    tables, card = load_dataset(data / NAME)
    longer, its_card = build_tables(config(10), photos)
    assert card.ends_at == its_card.ends_at == done.ends_at
    assert done.impressions == 6 * PER_DAY["impressions"]
    assert done.settled > 20  # clicks of the first days, or nothing is tested
    assert longer["impressions"]["conversion"].sum() > 0
    equal(longer, tables)
    shorter, short_card = restrict_to_window(tables, card, ValidationConfig(as_of=three_days[1].ends_at))
    equal(three_days[0], shorter)
    assert short_card.ends_at == three_days[1].ends_at
    after = digest_tree(data / NAME)
    assert {name for name in before if before[name] != after[name]} == {"dataset.yaml"}
    assert "impressions/day=2026-01-05/settled-2026-01-15.parquet" in after.keys() - before.keys()


def test_a_build_leaves_the_days_that_were_added(data):
    advance(NAME, data, 1, None)
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


def deploy(paths, tables, creatives, images):
    """A package whose table loves each campaign's first creative, with this pool, exported as version 7."""
    old = tables["creatives"][["creative_id", "campaign"]]
    listed = old.assign(probability=np.where(old.groupby("campaign").cumcount() == 0, 1.0, 1e-3), impressions=10)
    listed["probability"] /= listed.groupby("campaign")["probability"].transform("sum")
    cells = pd.MultiIndex.from_product([["0", "1", ANY], words.PLACEMENTS], names=["segment", "placement"])
    shoppers = tables["shoppers"]["shopper_id"]
    segments = pd.DataFrame({"shopper_id": shoppers, "segment": [str(place % 2) for place in range(len(shoppers))]})
    campaigns = {**old.set_index("creative_id")["campaign"], **creatives.set_index("creative_id")["campaign"]}
    acting = replace(PARAMETERS, exploration=0.05, new_share=0.02)
    known = catalogue(campaigns, tuple(creatives["creative_id"]))
    package = paths.stage("promotion") / "policy"
    write(package, PolicyPackage(acting, cells.to_frame(index=False).merge(listed, how="cross"), segments, known))
    write_table(creatives, package / "pool" / "creatives.parquet")
    write_table(images, package / "pool" / "images.parquet")
    acts = {"acts": "table", "forms": ["table"]}
    digest = digest_package(package)
    versions = {"champion": 7, "deployed": 7, "candidate": 7}
    export({"dataset": NAME, **versions, "acting": acts, "package": digest}, paths)


@pytest.fixture
def paths(three_days, data):
    """A run's export and package as `adloom run` leaves them."""
    tables = three_days[0]
    paths = Paths.of(NAME, str(data / NAME), str(data.parent / "artifacts"))
    creatives, images = pool_of(tables)
    deploy(paths, tables, creatives, images)
    return paths


def test_the_champion_shows_its_new_creatives_with_true_propensities(data, paths, three_days):
    champion = exported_policy(paths)
    done = advance(NAME, data, 1, champion)
    tables, card = load_dataset(data / NAME)
    checked = validate(tables, card, ValidationConfig())
    assert sum(len(rows) for rows in checked.quarantine.values()) == 0
    log = tables["impressions"].iloc[len(three_days[0]["impressions"]) :]
    assert done.policy == champion.name and champion.name.startswith("adloom-") and champion.name.endswith("-table")
    assert set(log["logging_policy"]) == {champion.name}
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
    assert ((p := truth(card.simulator, tables)(pairs)) > 0).all() and (p < 1).all()  # the law judges them as any other


def test_a_second_night_adds_no_creative_twice_and_another_champion_adds_its_own(data, paths, three_days):
    first = exported_policy(paths)
    advance(NAME, data, 1, first)
    assert advance(NAME, data, 8, first).new_creatives == 0
    package = paths.stage("promotion") / "policy"
    creatives, images = (pd.read_parquet(str(package / "pool" / f"{name}.parquet")) for name in ("creatives", "images"))
    others = {"creative_id": creatives["creative_id"] + "-other", "image_id": images["image_id"] + "-other"}
    deploy(paths, three_days[0], creatives.assign(**others), images.assign(image_id=others["image_id"]))
    assert advance(NAME, data, 1, exported_policy(paths)).new_creatives == 6
    ids = read_table(data / NAME, "creatives", ["creative_id"])["creative_id"]
    assert ids.is_unique


def test_no_export_means_no_champion_and_a_lost_package_is_named(paths, tmp_path):
    assert exported_policy(Paths.of("openbandit", workdir=str(tmp_path))) is None
    write_table(pd.DataFrame({"a": [1]}), paths.stage("promotion") / "policy" / "decisions.parquet")
    with pytest.raises(UserError, match=r"no longer in .*`adloom run marketplace`"):
        exported_policy(paths)


@pytest.mark.parametrize(
    ("days", "words_due"), [(0, "--days 0: .*1 day or more"), (-3, "--days -3"), (400, "campaigns end on 2027-01-05")]
)
def test_days_that_make_no_sense_are_refused(data, days, words_due):
    before = digest_tree(data / NAME)
    with pytest.raises(UserError, match=words_due):
        advance(NAME, data, days, None)
    assert digest_tree(data / NAME) == before


def test_only_a_simulated_data_set_that_is_there_goes_on(data, three_days):
    with pytest.raises(UserError, match="no data set in"):
        advance("supermarket", data, 1, None)
    write_dataset(three_days[0], three_days[1].model_copy(update={"simulator": None, "name": "own"}), data / "own")
    with pytest.raises(UserError, match="own: real data"):
        advance("own", data, 1, None)


def test_a_log_that_the_world_did_not_make_is_refused(data, three_days):
    tables, card = three_days
    log = tables["impressions"]
    other = log.assign(click=np.where(np.arange(len(log)) == 5, 1 - log["click"], log["click"]))
    write_dataset({**tables, "impressions": other}, card, data / NAME)
    with pytest.raises(UserError, match="impressions of 2026-01-05 differ from those that the simulator made"):
        advance(NAME, data, 7, None)


def test_a_failure_half_way_leaves_what_was_there(data, monkeypatch):
    before = digest_tree(data / NAME)

    def full(card, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(dataset_files, "write_card", full)
    with pytest.raises(OSError, match="No space left"):
        advance(NAME, data, 1, None)
    assert digest_tree(data / NAME) == before
    assert [path.name for path in data.iterdir()] == [NAME]
