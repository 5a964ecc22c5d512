"""A log cut at a past time is the log as it stood then, and passes the contract."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from components.contract.time_window import restrict_to_window
from components.contract.validation.validate import validate
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from components.settings.sections import ValidationConfig
from tests.components.contract import samples

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
PARAMS = ROOT / "params.yaml"


@pytest.fixture(scope="module")
def tables():
    return samples.sample()


def at(moment=None, days=None):
    return ValidationConfig(as_of=moment, window_days=days)


def test_without_a_time_or_a_window_all_stays(tables):
    kept, card = restrict_to_window(tables, samples.card(), at())
    assert card == samples.card()
    assert all(kept[name] is table for name, table in tables.items())


def test_only_what_had_happened_stays_and_open_conversions_are_unknown_again(tables):
    kept, card = restrict_to_window(tables, samples.card(), at(NOON))
    assert card.ends_at == NOON
    for name in ("impressions", "events"):
        due = tables[name][tables[name]["timestamp"] < NOON]
        assert 0 < len(kept[name]) == len(due) < len(tables[name])
        assert kept[name]["timestamp"].max() < NOON
    assert set(kept["candidates"]["impression_id"]) == set(kept["impressions"]["impression_id"])
    rows, before = kept["impressions"], tables["impressions"].iloc[: len(kept["impressions"])]
    is_open = (rows["click"] == 1) & (rows["timestamp"] + timedelta(days=samples.WINDOW_DAYS) > NOON)
    known = before["conversion"].notna()
    assert (is_open & known).any()  # the sample has such clicks, or nothing is tested
    assert rows.loc[is_open, ["conversion", "conversion_timestamp", "revenue"]].isna().all(axis=None)
    pd.testing.assert_series_equal(rows.loc[~is_open, "conversion"], before.loc[~is_open.to_numpy(), "conversion"])


def test_what_is_cut_keeps_the_contract(tables):
    checked = validate(*restrict_to_window(tables, samples.card(), at(NOON, 10)), ValidationConfig())
    assert sum(len(rows) for rows in checked.quarantine.values()) == 0


def test_open_columns_that_became_known_later_are_not_there_yet(tables):
    late = tables["products"].assign(features_from=pd.Timestamp(NOON))
    kept, card = restrict_to_window({**tables, "products": late}, samples.card(), at(datetime(2026, 3, 10, tzinfo=UTC)))
    before, timed = tables["creatives"], tables["creatives"]["features_from"].notna()  # the middle of March
    assert 0 < timed.sum() < len(timed)
    assert kept["creatives"].loc[timed, ["feature_contrast", "features_from"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(kept["creatives"][~timed], before[~timed], check_dtype=False)
    assert "feature_weight" not in kept["products"]
    assert sum(len(rows) for rows in validate(kept, card, ValidationConfig()).quarantine.values()) == 0
    on_time, _ = restrict_to_window(tables, samples.card(), at(NOON))
    pd.testing.assert_frame_equal(on_time["creatives"], before)


def test_a_window_keeps_the_last_days_only(tables):
    kept, card = restrict_to_window(tables, samples.card(), at(days=5))
    assert card.ends_at == samples.ENDS
    times = tables["impressions"]["timestamp"]
    assert len(kept["impressions"]) == (times >= samples.ENDS - timedelta(days=5)).sum() > 0
    longer, _ = restrict_to_window(tables, samples.card(), at(days=500))
    assert len(longer["impressions"]) == len(times)


def test_only_conversions_within_the_attribution_window_count(tables):
    rows = tables["impressions"]
    sold = rows.index[rows["conversion"].fillna(0) == 1]
    slow = rows["conversion_timestamp"].mask(
        rows.index.isin(sold[::2]), rows["timestamp"] + timedelta(days=3, seconds=1)
    )
    spread = samples.changed(tables, "impressions", lambda frame: frame.assign(conversion_timestamp=slow))
    kept, card = restrict_to_window(spread, samples.card(), ValidationConfig(attribution_days=3))
    assert card == samples.card() and len(sold) >= 4
    found = kept["impressions"]
    assert (found.loc[sold[::2], "conversion"] == 0).all() and (found.loc[sold[1::2], "conversion"] == 1).all()
    assert found.loc[sold[::2], "conversion_timestamp"].isna().all() and (found.loc[sold[::2], "revenue"] == 0).all()
    others = found.index.difference(sold[::2])
    pd.testing.assert_frame_equal(found.loc[others], spread["impressions"].loc[others], check_dtype=False)
    assert sum(len(each) for each in validate(kept, card, ValidationConfig()).quarantine.values()) == 0


def test_a_longer_attribution_window_than_the_data_sets_is_refused(tables):
    with pytest.raises(UserError, match="attribution_days 8: sample records conversions of 7 days only"):
        restrict_to_window(tables, samples.card(), ValidationConfig(attribution_days=8))


def test_a_later_time_than_the_logs_end_changes_nothing(tables):
    kept, card = restrict_to_window(tables, samples.card(), at(samples.ENDS + timedelta(days=3)))
    assert card == samples.card()
    pd.testing.assert_frame_equal(kept["impressions"], tables["impressions"])


def test_creatives_that_a_generator_made_later_are_not_there_yet(tables):
    def made(frame):
        return frame.assign(
            origin=["people"] * 22 + ["wgan-1"] * 2,
            active_from=[*frame["active_from"][:22], pd.Timestamp(NOON) - timedelta(days=1), pd.Timestamp(NOON)],
            image_id=[*frame["image_id"][:22], "i-made-0", "i-made-1"],
        )

    extra = tables["images"].head(2).assign(image_id=["i-made-0", "i-made-1"])
    grown = samples.changed(tables, "creatives", made)
    grown = {**grown, "images": pd.concat([tables["images"], extra], ignore_index=True)}
    kept, _ = restrict_to_window(grown, samples.card(), at(NOON))
    assert list(kept["creatives"]["creative_id"]) == list(tables["creatives"]["creative_id"][:23])
    assert set(grown["images"]["image_id"]) - set(kept["images"]["image_id"]) == {"i-made-1"}


def test_an_optional_table_of_which_nothing_is_left_is_left_away(tables):
    late = samples.changed(tables, "events", lambda frame: frame.assign(timestamp=frame["timestamp"].max()))
    kept, card = restrict_to_window(late, samples.card(), at(NOON))
    assert "events" not in kept
    assert "events" not in card.tables


def test_a_time_before_the_log_or_a_window_without_impressions_is_named(tables):
    with pytest.raises(UserError, match=r"as_of 2025-12-31T00:00:00Z: the log of sample begins only at 2026-03-01T"):
        restrict_to_window(tables, samples.card(), at(datetime(2025, 12, 31, tzinfo=UTC)))
    early = samples.changed(tables, "impressions", lambda frame: frame[frame["timestamp"] < NOON])
    with pytest.raises(UserError, match=r"no impression from 2026-03-27T00:00:00Z to 2026-03-29T00:00:00Z"):
        restrict_to_window(early, samples.card(), at(days=2))


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-03-20", 0), ("2026-03-20T12:00:00Z", 12), ("2026-03-20 14:00:00+02:00", 12), ("'2026-03-20T12:00'", 12)],
)
def test_a_date_or_a_time_on_the_command_line_is_one_in_utc(text, hour):
    settings = load_settings(PARAMS, "marketplace", (f"validation.as_of={text}",))
    assert settings.validation.as_of == datetime(2026, 3, 20, hour, tzinfo=UTC)
    assert settings.validation.model_dump(mode="json")["as_of"].endswith("Z")


@pytest.mark.parametrize("text", ["2026-13-01", "yesterday", "20260320", "[]", "true"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UserError, match=r"2026-13-01' is not a YAML value|validation.as_of: "):
        load_settings(PARAMS, "marketplace", (f"validation.as_of={text}",))
