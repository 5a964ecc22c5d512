import re
from html import escape

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.schema import TABLES
from components.contract.validation.data_docs import render_data_docs, summary_page
from components.contract.validation.data_report import DataRefused
from components.contract.validation.validate import validate
from components.settings.sections import ValidationConfig
from tests.components.contract.samples import card, changed, planted, sample, without

pytestmark = pytest.mark.usefixtures("equal_tables_checked_once")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def faulty():
    tables = planted(without(sample(), "events"), "impressions", "click", 2)
    return planted(tables, "creatives", "conditions", SCRIPT, row=23)


@pytest.fixture(scope="module")
def found(faulty):
    return validate(faulty, card(simulated=tuple(faulty)), ValidationConfig(max_quarantined=0.9))


@pytest.fixture(scope="module")
def pages(found, tmp_path_factory):
    index = render_data_docs(found, UPath(tmp_path_factory.mktemp("docs")))
    return {path.name: path.read_text(encoding="utf-8") for path in index.parent.iterdir()}


def test_there_is_a_page_for_each_table_and_an_index(pages, faulty):
    assert set(pages) == {"index.html", *(f"{name}.html" for name in faulty)}
    for name in faulty:
        assert f'href="{name}.html"' in pages["index.html"]


def test_reasons_and_expectations_are_on_the_page_of_their_table(pages):
    assert "click is not 0 or 1" in pages["impressions.html"]
    assert "impression_id=m3 click=2" in pages["impressions.html"]
    assert "values must belong to this set" in pages["impressions.html"]
    assert "1 unexpected values found" in pages["impressions.html"]
    assert "candidates_sum" in pages["impressions.html"]


def test_pages_load_nothing_and_run_nothing(pages):
    for text in pages.values():
        assert not re.search(r'(src|href)="(https?:)?//', text)
        assert "<script" not in text


def test_values_from_the_data_are_shown_and_not_run(pages):
    assert "&lt;script&gt;alert(1)" in pages["creatives.html"]
    assert "&lt;script&gt;alert(1)" in pages["index.html"]


def test_the_summary_tells_what_was_lost_and_what_is_absent(found):
    text = summary_page(found.report)
    assert "| impressions | 200 | 0 |" in text
    assert "- impressions: click is not 0 or 1 (1 row; for example impression_id=m3 click=2)" in text
    assert "- events: there are no behaviour features" in text
    assert "Rules that could not be checked" in text
    assert all(line.count("|") == 9 for line in text.splitlines() if line.startswith("|"))


def test_a_refused_data_set_has_its_pages_too(faulty, tmp_path):
    with pytest.raises(DataRefused) as caught:
        validate(faulty, card(simulated=tuple(faulty)), ValidationConfig(max_quarantined=0.0))
    index = render_data_docs(caught.value, UPath(tmp_path))
    text = index.read_text(encoding="utf-8")
    assert "Refused: " in text
    assert "conditions is not JSON" in text


def differing(frame):
    """One more row that shares its id with the first and differs from it."""
    again = frame.head(1).copy()
    new = {
        "position": 7,
        "propensity": 0.125,
        "billing": "x",
        "origin": "x",
        "category": "x",
        "kind": "x",
        "consent": True,
    }
    column = next(name for name in new if name in again)
    again[column] = new[column]
    return pd.concat([frame, again], ignore_index=True)


BREAKS = {
    "rows share": differing,
    "the columns are not the contract's: unexpected extra": lambda frame: frame.assign(extra=1),
    "the table has no rows": lambda frame: frame.head(0),
}
WHOLE = [
    (name, words)
    for name in TABLES
    for words in BREAKS
    if name != "images" or words != "rows share"  # bytes of pictures are read in another test
]


@pytest.mark.parametrize(("name", "words"), WHOLE, ids=lambda value: value[:20])
def test_every_rule_on_a_whole_table_has_its_reason_and_its_page(name, words, tmp_path):
    with pytest.raises(DataRefused) as caught:
        validate(changed(sample(), name, BREAKS[words]), card(), ValidationConfig(max_quarantined=1.0))
    reason = str(caught.value)
    assert reason.startswith(name) and words in reason.replace("their ids", "an id")
    pages = render_data_docs(caught.value, UPath(tmp_path)).parent
    assert set(TABLES) == {path.stem for path in pages.iterdir()} - {"index"}
    assert escape(reason) in (pages / "index.html").read_text(encoding="utf-8")
    own = (pages / f"{name}.html").read_text(encoding="utf-8").replace("their ids", "an id")
    assert escape(words.partition(":")[0]) in own


def test_rows_that_share_an_id_are_shown_with_what_they_differ_in():
    with pytest.raises(DataRefused) as caught:
        validate(changed(sample(), "impressions", differing), card(), ValidationConfig())
    assert str(caught.value).endswith(
        "rows share an id and differ: impression_id=m0 position=1, impression_id=m0 position=7"
    )


HOSTILE_COLUMNS = [SCRIPT, "$column", "a|b", "a'b\"c", "../x", "\x1b[2J", "{{ 7 * 7 }}", "x" * 300, "店", "${a}"]


@pytest.mark.parametrize("name", HOSTILE_COLUMNS)
def test_a_column_may_have_any_name_under_an_open_prefix(name, tmp_path):
    tables = changed(sample(), "impressions", lambda frame: frame.assign(**{f"context_{name}": 1.0}))
    tables = planted(tables, "impressions", f"context_{name}", np.inf)
    found = validate(tables, card(), ValidationConfig(max_quarantined=0.9))
    assert found.report.table("impressions").quarantined == 1
    index = render_data_docs(found, UPath(tmp_path))
    for path in index.parent.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text and "\x1b" not in text
    assert escape(name).replace("\x1b", "\\x1b") in (tmp_path / "impressions.html").read_text(encoding="utf-8")
