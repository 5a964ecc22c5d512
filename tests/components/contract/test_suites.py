import json

import pytest
from upath import UPath

from components.contract.schema import TABLES
from components.contract.validation.suites import SUITES_FOLDER, read_suite
from components.settings.errors import UserError


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_a_suite_with_the_companion_checks(name):
    suite = read_suite(name)
    types = [rule.type for rule in suite.rules if rule.stops]
    assert "expect_table_row_count_to_be_between" in types
    assert "expect_table_columns_to_match_set" in types
    assert len({(rule.type, json.dumps(dict(rule.kwargs), sort_keys=True)) for rule in suite.rules}) == len(suite.rules)


def test_there_is_no_suite_without_a_table():
    assert {path.stem for path in SUITES_FOLDER.glob("*.json")} == set(TABLES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"severity": "loud"}, "severity is critical or warning"),
        ({"meta": {"reason": ""}}, "meta.reason"),
        ({"meta": {}}, "lacks 'reason'"),
    ],
)
def test_a_malformed_suite_is_named(tmp_path, change, said):
    rule = {"type": "expect_column_to_exist", "kwargs": {}, "severity": "warning", "meta": {"reason": "x"}}
    document = {"name": "events", "meta": {"derived": {}}, "expectations": [{**rule, **change}]}
    (tmp_path / "events.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=said) as caught:
        read_suite("events", UPath(tmp_path))
    assert "events.json" in str(caught.value)
