import json

import pyarrow as pa
import pytest
import yaml

from components.contract.schema import EVENT_KINDS, TABLES, arrow_schema
from components.contract.validation.suites import expand, read_suite
from components.settings.paths import ROOT
from tests.components.contract.samples import sample


def test_needed_tables_are_those_of_the_contract():
    assert {name for name, table in TABLES.items() if table.needed} == {"campaigns", "creatives", "impressions"}


def test_references_name_tables_with_a_single_key():
    for table in TABLES.values():
        for column in table.columns:
            if column.references:
                assert len(TABLES[column.references].key) == 1


@pytest.mark.parametrize("name", TABLES)
def test_keys_are_declared_and_not_nullable(name):
    table = TABLES[name]
    assert all(table.column(key) is not None and not table.column(key).nullable for key in table.key)


def test_arrow_schema_gives_times_in_utc_microseconds():
    schema = arrow_schema("impressions")
    assert schema.field("timestamp").type == pa.timestamp("us", "UTC")
    assert schema.names == [column.name for column in TABLES["impressions"].columns]


def test_open_columns_need_more_than_their_prefix():
    creatives = TABLES["creatives"]
    assert creatives.is_open("feature_contrast")
    assert not creatives.is_open("feature_")
    assert not creatives.is_open("context_hour")
    assert not TABLES["events"].is_open("feature_contrast")


@pytest.mark.parametrize("name", TABLES)
def test_suite_and_schema_agree_on_columns_keys_and_nulls(name):
    table, suite = TABLES[name], read_suite(name)
    (column_set,) = (rule.kwargs for rule in suite.rules if "column_set" in rule.kwargs)
    declared = [column.name for column in table.columns]
    assert column_set["column_set"] == declared + [f"{prefix}*" for prefix in table.open_prefixes]
    assert column_set["exact_match"] is True

    unique = [rule for rule in suite.rules if rule.type.endswith("to_be_unique")]
    assert [rule.columns for rule in unique] == [table.key]
    assert all(rule.stops for rule in unique)

    never_null = {
        rule.columns[0] for rule in suite.rules if rule.type.endswith("not_be_null") and rule.columns[0] in declared
    }
    never_null |= {name for name in declared if any(rule.columns == (f"{name}_given",) for rule in suite.rules)}
    assert never_null == {column.name for column in table.columns if not column.nullable}


@pytest.mark.parametrize("name", TABLES)
def test_every_number_of_the_contract_has_a_finite_range(name):
    suite = read_suite(name)
    for column in TABLES[name].columns:
        if column.kind != "number":
            continue
        ranges = [rule.kwargs for rule in suite.rules if rule.columns == (column.name,) and "max_value" in rule.kwargs]
        assert ranges, f"{name}.{column.name}: infinity would pass"
        assert all("min_value" in kwargs for kwargs in ranges)


@pytest.mark.parametrize("name", TABLES)
def test_every_key_and_reference_has_its_rules(name):
    suite = read_suite(name)
    read = {column for rule in suite.rules for column in rule.columns}
    for column in TABLES[name].columns:
        if column.references:
            assert {f"{column.name}_known", f"{column.name}_kept"} <= read
    own = {column.name for column in TABLES[name].columns} | {f"{prefix}*" for prefix in TABLES[name].open_prefixes}
    own |= set(TABLES[name].open_numbers)
    assert read - own <= set(suite.derived), "a rule reads a column that the suite does not explain"


def test_open_rules_spread_over_the_columns_at_hand():
    frame = sample()["impressions"]
    rules = expand(read_suite("impressions"), frame)
    finite = [rule.columns[0] for rule in rules if "beyond 1e30" in rule.reason]
    filled = [rule.columns[0] for rule in rules if "holds no value" in rule.reason]
    assert finite == ["context_hour", "context_local_hour"]
    assert filled == ["context_hour", "context_local_hour", "context_device"]
    assert [rule.columns for rule in rules if "not an hour" in rule.reason] == [("context_local_hour",)]
    (columns,) = (rule.kwargs["column_set"] for rule in rules if "column_set" in rule.kwargs)
    assert set(columns) == set(frame.columns)
    without = expand(read_suite("impressions"), frame.drop(columns="context_local_hour"))
    assert not [rule for rule in without if "not an hour" in rule.reason]


def test_kinds_of_events_are_the_same_wherever_they_are_listed():
    suite = json.loads((ROOT / "expectations" / "events.json").read_text(encoding="utf-8"))
    rules = [rule["kwargs"] for rule in suite["expectations"] if "kind is not one of" in rule["meta"]["reason"]]
    names = yaml.safe_load((ROOT / "components/datasets/importing/column_names.yaml").read_text(encoding="utf-8"))
    assert [rule["value_set"] for rule in rules] == [list(EVENT_KINDS)]
    assert tuple(names["words"]["events.kind"]) == EVENT_KINDS
