import re

import pytest
from upath import UPath

from components.config import ValidationConfig
from components.contract.documents import page, render
from components.contract.report import DataRefused
from components.contract.validation import validate
from tests.components.contract.samples import card, planted, sample, without

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
    index = render(found, UPath(tmp_path_factory.mktemp("docs")))
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
    text = page(found.report)
    assert "| impressions | 200 | 0 |" in text
    assert "- impressions: click is not 0 or 1 (1 row; for example impression_id=m3 click=2)" in text
    assert "- events: no feature comes from behaviour" in text
    assert "Rules that could not be asked" in text
    assert all(line.count("|") == 9 for line in text.splitlines() if line.startswith("|"))


def test_a_refused_data_set_has_its_pages_too(faulty, tmp_path):
    with pytest.raises(DataRefused) as caught:
        validate(faulty, card(simulated=tuple(faulty)), ValidationConfig(max_quarantined=0.0))
    index = render(caught.value, UPath(tmp_path))
    text = index.read_text(encoding="utf-8")
    assert "Refused: " in text
    assert "conditions is not JSON" in text
