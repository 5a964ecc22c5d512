"""What a stage reads of earlier ones: only what it uses; features of an earlier version are refused with what helps."""

import numpy as np
import pandas as pd
import pytest

from components.contract.card import DatasetCard, write_card
from components.contract.files.tables import write_table
from components.features import build_features, fit_features
from components.policies.eligible import eligible_pairs
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import FeaturesConfig
from components.workflow.stage_inputs import (
    EVALUATION_READ,
    FEATURES_READ,
    INTEREST_READ,
    built_features,
    validated,
)
from tests.components.features.shop import shop


@pytest.fixture(scope="module")
def tables():
    """A shop with candidates, whose every third event reached the log a day late."""
    made = shop(seed=5)
    impressions, creatives, events = made["impressions"], made["creatives"], made["events"]
    rivals = impressions.assign(creative_id=np.roll(creatives["creative_id"], 1)[np.arange(len(impressions)) % 24])
    pairs = pd.concat([impressions, rivals], ignore_index=True).drop_duplicates(["impression_id", "creative_id"])
    made["candidates"] = pairs[["impression_id", "creative_id"]].assign(propensity=0.5).reset_index(drop=True)
    late = pd.to_timedelta(np.where(np.arange(len(events)) % 3 == 0, 1, 0), unit="D")
    made["events"] = events.assign(ingested_at=events["timestamp"] + late).sort_values("timestamp", ignore_index=True)
    span = {"starts_at": impressions["timestamp"].min(), "ends_at": impressions["timestamp"].max()}
    made["campaigns"] = made["campaigns"].assign(advertiser_id="a", objective="click", billing="cpm", **span)
    made["impressions"] = impressions.sort_values("timestamp", ignore_index=True)
    return made


@pytest.fixture(scope="module")
def paths(tables, tmp_path_factory):
    folder = Paths.of("shop", workdir=str(tmp_path_factory.mktemp("read")))
    for name, table in tables.items():
        write_table(table, folder.stage("validation") / f"{name}.parquet")
    card = {"name": "shop", "source": "a test", "licence": "none", "currency": "EUR", "conversion_window_days": 7}
    ends_at = tables["impressions"]["timestamp"].max().to_pydatetime()
    write_card(DatasetCard(**card, real=(), simulated=tuple(tables), ends_at=ends_at), folder.stage("validation"))
    return folder


def test_features_know_an_event_from_when_the_log_had_it(tables, paths):
    config = FeaturesConfig(text_dimensions=4, image_dimensions=4)
    model = fit_features(tables, config)
    read, _ = validated(paths, FEATURES_READ)
    built = build_features(model, read, config).impressions
    pd.testing.assert_frame_equal(built, build_features(model, tables, config).impressions)
    on_time = {**tables, "events": tables["events"].drop(columns="ingested_at")}
    assert not built.equals(build_features(model, on_time, config).impressions)


def test_interest_holds_no_log_but_the_ids_of_candidates_and_finds_the_same_pairs(tables, paths):
    read, _ = validated(paths, INTEREST_READ)
    assert set(read) == {"candidates", "creatives"}
    assert list(read["candidates"]) == ["impression_id", "creative_id"]
    pairs = eligible_pairs(read, tables["impressions"])
    pd.testing.assert_frame_equal(pairs, eligible_pairs(tables, tables["impressions"])[list(pairs)])
    without = {name: table for name, table in read.items() if name != "candidates"}
    by_campaign = eligible_pairs({"creatives": tables["creatives"]}, tables["impressions"])
    pd.testing.assert_frame_equal(eligible_pairs(without, tables["impressions"]), by_campaign)


@pytest.mark.parametrize("columns", [FEATURES_READ, EVALUATION_READ])
def test_events_are_held_without_ids_and_dwell_times_and_with_texts_as_categories(paths, columns):
    read, _ = validated(paths, columns)
    assert {"event_id", "dwell_seconds"} & set(read["events"]) == set()
    coded = read["events"].dtypes
    assert all(coded[name] == "category" for name in ("shopper_id", "kind", "product_id", "text"))


def test_features_of_an_earlier_version_are_refused_with_the_command_that_builds_them_anew(tmp_path):
    """They held the propensity, which now comes from the validated tables alone."""
    paths = Paths.of("shop", workdir=str(tmp_path))
    for name in ("impressions", "creatives", "shopper_profiles"):
        write_table(
            pd.DataFrame({"impression_id": ["i1"], "propensity": [0.5]}), paths.stage("features") / f"{name}.parquet"
        )
    with pytest.raises(UserError, match=r"an earlier version of Adloom .* `adloom stage features --dataset shop`"):
        built_features(paths)
