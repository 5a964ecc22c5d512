"""The end of a run, as a terminal of 80 columns shows it."""

import pytest

from components.cli.summary import print_summary

LIFT = {"value": 0.00203, "ci_low": 0.00141, "ci_high": 0.00265}


def outcome(dataset: str, creatives: dict | None, lift: dict | None) -> dict:
    return {
        "dataset": dataset,
        "interest": {"passed": True},
        "creatives": creatives,
        "action": "promote",
        "champion": 12,
        "reasons": ["a reason"],
        "unit": "conversions" if lift is None else "clicks",
        "lift": lift,
    }


@pytest.fixture
def shown(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_summary([outcome("marketplace", {"passed": True}, LIFT), outcome("openbandit", None, None)], as_json=False)
    return capsys.readouterr().out


def test_no_cell_is_broken_and_no_line_is_wider_than_the_terminal(shown):
    assert "marketplace   passed     passed      promote   +2.03 [+1.41, +2.65]   v12" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_next_commands_name_the_data_sets_of_this_run(shown):
    assert "adloom generate marketplace -n 8" in shown
    assert "artifacts/openbandit/docs/" in shown


def test_no_ads_are_offered_where_no_generator_passed(capsys):
    print_summary([outcome("bakery", None, LIFT)], as_json=False)
    text = capsys.readouterr().out
    assert "adloom status bakery" in text and "generate" not in text and "marketplace" not in text
