import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from components.contract.card import write_card
from components.contract.files.tables import read_frame, write_json, write_table
from components.contract.schema import TABLES
from components.contract.validation import broken_rules
from components.contract.validation.data_report import DataRefused
from components.contract.validation.derived_columns import ValidationState
from components.contract.validation.findings import Findings, check_table
from components.contract.validation.refusal import stop_at_bad_share, stop_at_bad_table
from components.contract.validation.suites import expand, read_suite
from components.contract.validation.unique_keys import is_unique
from components.contract.validation.validate import load_dataset, validate
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig
from tests.components.contract.samples import card, changed, planted, sample, without

LENIENT = ValidationConfig(max_quarantined=0.99)
STRICT = ValidationConfig(max_quarantined=0.0)


@pytest.fixture(scope="module")
def clean():
    return validate(sample(), card(), STRICT)


def _look(tables, name):
    """What is found by looking at table `name` alone, which takes a fraction of a whole validation."""
    found = Findings(
        ValidationState(card(), tables, tables), {one: len(frame) for one, frame in tables.items()}, {}, {}
    )
    return check_table(found, read_suite(name))


def test_no_table_is_hashed_for_a_fingerprint(monkeypatch):
    """Great Expectations' data sources hash every cell, twice; that was half of validation's time."""
    from great_expectations.execution_engine import pandas_execution_engine

    def hashed(frame):
        raise AssertionError("a table was hashed")

    monkeypatch.setattr(pandas_execution_engine, "hash_pandas_dataframe", hashed)
    assert all(outcome.holds for outcome in _look(sample(), "events").outcomes["events"])


def test_a_rule_on_a_column_with_nulls_names_the_rows_of_the_table():
    """Such a column is shown to Great Expectations alone; its positions are still the table's."""
    events = sample()["events"]
    dwell = events["dwell_seconds"].copy()
    dwell.iloc[:3] = [np.nan, -1.0, np.nan]
    dwell.iloc[-1] = -2.0
    found = _look({**sample(), "events": events.assign(dwell_seconds=dwell)}, "events")
    assert found.row_faults("events").index.tolist() == [1, len(events) - 1]
    assert [outcome.rule.columns for outcome in found.outcomes["events"] if not outcome.holds] == [("dwell_seconds",)]


def test_a_table_without_faults_is_not_copied(tmp_path):
    folder = UPath(tmp_path)
    for name, frame in sample().items():
        write_table(frame, folder / f"{name}.parquet")
    write_card(card(), folder)
    tables, of_tables = load_dataset(folder)
    checked = validate(tables, of_tables, STRICT).tables
    assert all(checked[name] is tables[name] for name in ("candidates", "events"))
    pd.testing.assert_frame_equal(checked["impressions"], tables["impressions"])


@pytest.mark.parametrize("name", ["events", "candidates"])
def test_texts_that_are_known_to_be_distinct_are_not_given_to_great_expectations(name, monkeypatch):
    """It makes an object of each id. Its records of the rules are the same, and repeated ids are found as ever."""
    frame = sample()[name].sort_values(list(TABLES[name].key), ignore_index=True)
    rules = [rule for rule in expand(read_suite(name), frame) if "unique" in rule.type]
    shown, validator = [], broken_rules._validator
    monkeypatch.setattr(broken_rules, "_validator", lambda given: shown.append(given) or validator(given))
    found = broken_rules.check_rules(frame, rules, card().ends_at)
    assert shown and all(dtype.kind == "i" for given in shown for dtype in given.dtypes)
    assert [outcome.holds for outcome in found] == [True] * len(rules)
    assert [one.result for one in found] == [
        one.result for one in broken_rules._check_rules(frame, rules, card().ends_at)
    ]
    repeated = frame.iloc[[0, 1, 2, 1, 3]]
    (broken,) = broken_rules.check_rules(repeated, rules, card().ends_at)
    assert not broken.holds and broken.rows.tolist() == [1, 3]


ID = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "aa"]))


@given(st.lists(st.tuples(ID, ID), max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_keys_in_order_are_distinct_as_hashing_says(rows, in_order):
    rows = sorted(rows, key=lambda row: (row[0] or "", row[1] or "")) if in_order else rows
    columns = [pd.Series(values, dtype="str") for values in (zip(*rows, strict=True) if rows else ([], []))]
    for key in (columns[:1], columns):
        repeated = pd.DataFrame(dict(enumerate(key))).duplicated().any()
        if is_unique(key):
            assert not repeated
        elif rows and in_order and not any(column.isna().any() for column in key):
            assert repeated


def _refusal(tables, name):
    """What the rules on table `name` as a whole say."""
    with pytest.raises(DataRefused) as caught:
        stop_at_bad_table(_look(tables, name), name)
    return str(caught.value)


def test_clean_data_loses_nothing(clean):
    for name, frame in sample().items():
        assert len(clean.quarantine[name]) == 0
        pd.testing.assert_frame_equal(clean.tables[name], frame, check_dtype=False)
    assert [table.table for table in clean.report.tables] == list(TABLES)
    assert all(not table.broken and table.rules >= 8 for table in clean.report.tables)
    assert clean.report.absent == {}


def test_the_report_is_the_same_for_the_same_data_and_has_no_nan(clean, tmp_path):
    again = validate(sample(), card(), STRICT)
    write_json(clean.report.to_dict(), UPath(tmp_path) / "1.json")
    write_json(again.report.to_dict(), UPath(tmp_path) / "2.json")
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    record = json.loads((tmp_path / "1.json").read_text())
    assert record["tables"][2]["quarantined_share"] == 0.0
    assert sum(one["impressions"] for one in record["actions"]) == 200


def test_validated_tables_and_quarantine_can_be_stored(clean, tmp_path):
    for folder, frames in (("kept", clean.tables), ("quarantine", clean.quarantine)):
        for name, frame in frames.items():
            path = UPath(tmp_path) / folder / f"{name}.parquet"
            write_table(frame, path)
            assert len(read_frame(path)) == len(frame)


def test_the_tables_given_are_not_changed():
    tables = planted(sample(), "impressions", "click", 2)
    before = {name: frame.copy() for name, frame in tables.items()}
    validate(tables, card(), LENIENT)
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


# Whole tables: what stops the run.


@pytest.mark.parametrize("name", TABLES)
def test_an_extra_column_stops(name):
    said = _refusal(changed(sample(), name, lambda frame: frame.assign(surprise=1)), name)
    assert said == f"{name}: the columns are not the contract's: unexpected surprise"


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_stops(name):
    said = _refusal(changed(sample(), name, lambda frame: frame.head(0)), name)
    assert said == f"{name}: the table has no rows"


@pytest.mark.parametrize("name", TABLES)
def test_rows_that_share_an_id_and_differ_stop(name):
    def twin(frame):
        last = {"candidates": "propensity", "images": "category", "shoppers": "consent"}.get(name, frame.columns[1])
        other = frame.head(1).assign(**{last: frame[last].iloc[1] if name != "images" else "hat"})
        other = other.assign(consent=~other["consent"]) if name == "shoppers" else other
        return pd.concat([frame, other], ignore_index=True)

    said = _refusal(changed(sample(), name, twin), name)
    key = TABLES[name].key
    place = " and ".join(key)
    both = twin(sample()[name]).iloc[[0, -1]]
    changed_in = {"candidates": "propensity", "images": "category"}.get(name, both.columns[1])
    differs = len(both[changed_in].drop_duplicates()) > 1  # of three tables the first rows are alike
    shown = (*key, changed_in) if differs else key
    rows = [" ".join(f"{column}={row[column]}" for column in shown) for _, row in both.iterrows()]
    reason = "rows share an id and differ" if len(key) == 1 else "rows share their ids and differ"
    assert said == f"{name}.{place}: {reason}: {rows[0]}, {rows[1]}"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("creatives", "feature_new"),
        ("products", "feature_new"),
        ("shoppers", "feature_new"),
        ("impressions", "context_new"),
    ],
)
def test_an_open_column_without_values_stops(name, column):
    said = _refusal(changed(sample(), name, lambda frame: frame.assign(**{column: np.nan})), name)
    assert said == f"{name}.{column}: a column {column.split('_')[0]}_* holds no value"


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_conflicting_ids_stop_the_whole_validation_and_name_the_rows():
    tables = changed(sample(), "impressions", lambda frame: pd.concat([frame, frame.tail(1).assign(position=9)]))
    with pytest.raises(
        DataRefused, match=r"rows share an id and differ: impression_id=m199 position=\d, impression_id=m199 position=9"
    ):
        validate(tables, card(), LENIENT)


@pytest.mark.parametrize("name", ["campaigns", "creatives", "impressions"])
def test_a_needed_table_must_be_there(name):
    with pytest.raises(UserError, match=f"^{name}: there is no such table"):
        validate(without(sample(), name), card(), LENIENT)


def test_columns_that_may_be_null_may_be_absent():
    lean = {
        name: frame.drop(columns=[column.name for column in TABLES[name].columns if column.nullable], errors="ignore")
        for name, frame in sample().items()
    }
    checked = validate(lean, card(), ValidationConfig())
    assert sum(len(rows) for rows in checked.quarantine.values()) == 0
    assert checked.tables["creatives"]["features_from"].isna().all()
    assert checked.tables["creatives"]["features_from"].dtype == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "shoppers",
            lambda f: f.assign(features_from=pd.Timestamp("2026-03-01")),
            r"shoppers\.features_from: naive times",
        ),
        ("impressions", lambda f: f.drop(columns="propensity"), r"impressions: no column propensity in memory"),
        ("impressions", lambda f: f.assign(timestamp=f["timestamp"].dt.tz_localize(None)), "timestamp: naive times"),
        ("impressions", lambda f: f.assign(click=f["click"].astype(str)), r"impressions\.click: holds .*string"),
        ("events", lambda f: f.assign(event_id=np.arange(len(f))), r"events\.event_id: holds int64.*ids are strings"),
        ("events", lambda f: f.assign(text=[1, "a"] * 50), "events: its columns cannot be read as one type each"),
    ],
)
def test_a_column_missing_or_of_a_wrong_type_stops(name, change, said):
    with pytest.raises(UserError, match=said):
        validate(changed(sample(), name, change), card(), LENIENT)


# Rows: what is dropped, and what is quarantined up to the limit.


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_exact_duplicates_are_dropped_and_counted():
    tables = sample()
    for name in ("impressions", "candidates", "images", "events"):
        tables = changed(tables, name, lambda frame: pd.concat([frame, frame.iloc[[3, 3, 7]]], ignore_index=True))
    validated = validate(tables, card(), STRICT)
    for name in ("impressions", "candidates", "images", "events"):
        assert validated.report.table(name).duplicates == 3
        pd.testing.assert_frame_equal(validated.tables[name], sample()[name], check_dtype=False)
    assert validated.report.table("creatives").duplicates == 0


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_the_limit_is_a_share_of_a_tables_rows():
    tables = planted(planted(sample(), "impressions", "click", 2, row=3), "impressions", "propensity", 0.0, row=50)
    stop_at_bad_share(_look(tables, "impressions"), max_quarantined=0.01)
    with pytest.raises(DataRefused) as caught:
        validate(tables, card(), ValidationConfig(max_quarantined=0.0099))
    said = str(caught.value)
    for part in ("impressions.", "impression_id=m", "2 of 200 rows", "1.00%", "validation.max_quarantined 0.0099"):
        assert part in said
    assert "\n" not in said
    assert caught.value.report.table("impressions").quarantined == 2
    assert caught.value.results["impressions"]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        (name, column.name)
        for name in TABLES
        for column in TABLES[name].columns
        if not column.nullable and not column.null_throughout
    ],
)
def test_a_column_that_is_null_throughout_does_not_pass(name, column):
    tables = changed(sample(), name, lambda frame: frame.assign(**{column: frame[column].where(frame[column].isna())}))
    found = _look(tables, name)
    stop_at_bad_table(found, name)
    with pytest.raises(DataRefused, match=rf"{name}.*{column} is null.*no row is left"):
        stop_at_bad_share(found, max_quarantined=1.0)


def test_propensities_may_be_null_throughout_and_not_in_some_rows():
    """Such a log trains models, and evaluation says why it abstains; with candidates it contradicts them."""
    alone = without(sample(), "candidates")
    none = changed(alone, "impressions", lambda frame: frame.assign(propensity=np.nan))
    found = _look(none, "impressions")
    stop_at_bad_share(found, max_quarantined=0.0)
    some = changed(
        alone, "impressions", lambda frame: frame.assign(propensity=frame["propensity"].where(frame.index > 0))
    )
    with pytest.raises(DataRefused, match="propensity is null"):
        stop_at_bad_share(_look(some, "impressions"), max_quarantined=0.0)


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_a_quarantined_picture_takes_along_what_shows_it():
    tables = planted(sample(), "images", "image", b"GIF89a no", row=2)
    validated = validate(tables, card(), LENIENT)
    gone = {name: frame for name, frame in validated.quarantine.items()}
    assert gone["images"]["image_id"].tolist() == ["i2"]
    assert gone["products"]["product_id"].tolist() == ["p2"]
    assert gone["creatives"]["creative_id"].tolist() == ["c2"]
    kept = validated.tables
    assert not (kept["impressions"]["creative_id"] == "c2").any()
    assert not (kept["candidates"]["creative_id"] == "c2").any()
    assert not (kept["events"]["product_id"] == "p2").any()
    offered = tables["candidates"].loc[tables["candidates"]["creative_id"] == "c2", "impression_id"]
    assert set(gone["impressions"]["impression_id"]) == set(offered)
    assert set(gone["candidates"]["impression_id"]) == set(offered)
    shown = gone["impressions"].set_index("creative_id")["reason"]
    assert shown["c2"].str.contains("creative_id names a quarantined row of creatives").all()
    whole = kept["candidates"].groupby("impression_id")["propensity"].sum()
    assert np.allclose(whole, 1)
    assert set(whole.index) == set(kept["impressions"]["impression_id"])


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_the_error_says_where_a_cascade_began():
    tables = planted(sample(), "candidates", "propensity", 1.5, row=0)
    with pytest.raises(DataRefused, match=r"candidates\.propensity: propensity is not in \[0, 1\]") as caught:
        validate(tables, card(), ValidationConfig(max_quarantined=0.001))
    assert "impression_id=m0" in str(caught.value)
    tables = planted(sample(), "images", "split", "valid", row=2)
    with pytest.raises(DataRefused, match=r"the cause is images\.split: split is not train or test in 1 row"):
        validate(tables, card(), ValidationConfig(max_quarantined=0.09))


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_quarantine_is_counted_by_creative():
    tables = sample()
    frame = tables["impressions"].copy()
    target = frame["creative_id"].value_counts().index[0]
    frame.loc[frame["creative_id"] == target, "position"] = 0
    validated = validate({**tables, "impressions": frame}, card(), LENIENT)
    counts = {one.creative_id: (one.impressions, one.quarantined) for one in validated.report.actions}
    assert counts[target][0] == counts[target][1] > 0
    assert sum(gone for _, gone in counts.values()) == counts[target][1]
    assert {key: n for key, (n, _) in counts.items()} == frame["creative_id"].value_counts().to_dict()


# Absent tables.


@pytest.mark.usefixtures("equal_tables_checked_once")
def test_absent_tables_switch_off_rules_and_the_report_says_so():
    tables = without(sample(), "candidates", "products", "images", "events", "shoppers")
    validated = validate(tables, card(real=(), simulated=tuple(tables)), STRICT)
    assert set(validated.tables) == set(tables)
    assert set(validated.report.absent) == {"candidates", "products", "images", "events", "shoppers"}
    told = {(one.table, one.why) for one in validated.report.unchecked}
    assert ("creatives", "there is no table products") in told
    assert ("impressions", "there is no table shoppers") in told
    assert ("impressions", "there is no table candidates") in told


# From files.


def _store(tables, folder):
    for name, frame in tables.items():
        write_table(frame, folder / f"{name}.parquet")
    write_card(card(simulated=tuple(tables)), folder)
    return folder


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_stored_data_set_validates_as_it_is(tmp_path, place):
    folder = UPath(tmp_path) if place == "local" else UPath(f"memory://set-{tmp_path.name}")
    tables, read = load_dataset(_store(sample(), folder))
    assert read == card()
    if place == "local":
        validated = validate(tables, read, STRICT)
        assert sum(len(frame) for frame in validated.quarantine.values()) == 0


def test_files_and_card_must_tell_of_the_same_tables(tmp_path):
    folder = _store(sample(), UPath(tmp_path))
    (folder / "events.parquet").unlink()
    with pytest.raises(UserError, match=r"events: .*dataset\.yaml lists it, but there is no file"):
        load_dataset(folder)
    (folder / "events.csv").write_text("event_id\n")
    with pytest.raises(UserError, match=r"events: found .*events\.csv; expected Parquet"):
        load_dataset(folder)
    write_card(card(simulated=tuple(name for name in TABLES if name != "events")), folder)
    with pytest.raises(UserError, match=r"events: .*real or under simulated"):
        load_dataset(folder)


def test_a_folder_that_is_none_or_lacks_a_needed_table_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_dataset(UPath(tmp_path) / "nowhere")
    folder = _store(without(sample(), "impressions"), UPath(tmp_path))
    with pytest.raises(UserError, match=r"^impressions: there is no such table"):
        load_dataset(folder)


def test_the_end_of_the_log_comes_from_the_card():
    early = card(ends_at=card().ends_at - timedelta(days=1))
    with pytest.raises(DataRefused, match="later than the log's end"):
        validate(without(sample(), "candidates"), early, STRICT)


NULLABLE = [(name, column.name) for name, table in TABLES.items() for column in table.columns if column.nullable]


@pytest.mark.usefixtures("equal_tables_checked_once")
@pytest.mark.parametrize(("name", "column"), NULLABLE, ids=lambda value: value)
def test_a_column_that_may_be_null_may_be_absent_and_counts_as_all_null(name, column):
    nulled = changed(
        sample(), name, lambda frame: frame.assign(**{column: frame[column].where(np.zeros(len(frame), dtype=bool))})
    )
    absent = changed(sample(), name, lambda frame: frame.drop(columns=column))
    found = [validate(tables, card(), LENIENT) for tables in (nulled, absent)]
    for table in TABLES:
        due, got = (each.tables[table] for each in found)
        pd.testing.assert_frame_equal(got[list(due)], due)
        assert len(found[0].quarantine[table]) == len(found[1].quarantine[table])
