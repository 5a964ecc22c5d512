"""The report of a run: what it says, in both languages, whatever the texts of the data hold."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pandas as pd
import pytest

from components.contract.card import DatasetCard
from components.workflow.run_report import report_page as module
from components.workflow.run_report.report_facts import (
    FormLift,
    Interval,
    RunReport,
    Segment,
    ShownAd,
    _segments,
    _smallest_files,
)
from components.workflow.run_report.report_page import PAGES, Scale, report_page

HOSTILE = '<script>alert(1)</script> & "quotes" {{ 7 * 7 }} https://elsewhere.example/x.png'
PIXEL = "data:image/webp;base64,AAAA"


class Reader(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def report() -> RunReport:
    lift = Interval(3.76, 3.08, 4.59, truth=3.39)
    effects = [("segment", "0", 900, Interval(1, 0.5, 2)), ("template", "badge", 500, Interval(-1, -2, -0.5))]
    change = {"value": -0.12, "ci_low": -0.44, "ci_high": 0.19}
    metrics = [{"name": "cvr", "target": change, "baseline": change, "change": change}]
    acting = FormLift("per_shopper", "passed", "production", 1000, lift, Interval(16, 12, 20), metrics, effects)
    card = dict(name="shop", source="own", licence="internal", real=("creatives",), simulated=(), currency="EUR")
    card = DatasetCard(**card, conversion_window_days=7, ends_at=datetime(2026, 2, 1, tzinfo=UTC))
    outcome = {
        "action": "promote",
        "champion": 3,
        "candidate": 3,
        "acting": {"acts": "per_shopper"},
        "reasons": ["why"],
    }
    return RunReport(
        dataset="shop",
        outcome=outcome,
        card=card,
        unit="clicks",
        judged=True,
        rows={"events": 60, "impressions": 6},
        forms=[FormLift("table", "abstained", "", 0, None, None, (), ()), acting],
        segments=[Segment(0, 50, ("shoes",), (), ("running",))],
        ads=[ShownAd("c-ad-1", "c", "product-ads", PIXEL, "Meet the Tent", (20.0, 30.0, 10.0))],
        new_ads=12,
        remarks=["pool: of 72 candidate ads, not admitted: none"],
        interest={"champion": "logistic"},
        quality={"flow": {"cas": 0.5, "fid": None}, "real photos": {"cas": 0.7, "fid": 0.1}},
        calibration=[(0.01, 0.012, 400)],
    )


@pytest.mark.parametrize(
    ("name", "record", "shown"),
    [
        ("cvr", (0.05468, 0.04079, 0.0779), "5.47 % [4.08, 7.79]"),
        ("revenue_per_impression", (1.5, 0.04, 2.0), "1,500 [40.00, 2,000]"),
        ("cost_per_conversion", (5.15, 3.585, 1234.5), "5.15 [3.58, 1,234]"),
        ("negative_feedback", (0.001053, 0.0008433, 0.001321), "1.05 [0.843, 1.32]"),
    ],
)
def test_metrics_have_the_units_that_their_words_name(report, name, record, shown):
    values = dict(zip(("value", "ci_low", "ci_high"), record, strict=True))
    form = replace(report.forms[1], metrics=[{"name": name, "target": values, "baseline": None, "change": None}])
    page = report_page(replace(report, forms=[form]), "en")
    text = " ".join(Reader(page).text.split())
    assert shown in text and "{currency}" not in text
    assert ("EUR" in text) == (name in ("revenue_per_impression", "cost_per_conversion"))


@pytest.mark.parametrize("language", PAGES)
def test_the_page_says_what_was_decided_and_what_it_rests_on(report, language):
    text = " ".join(Reader(report_page(report, language)).text.split())
    decided = {"en": "Promoted The policy is estimated to earn +3.76 [+3.08, +4.59] clicks per 1,000", "zh": "已上线"}
    assert decided[language] in text
    for figure in ("+3.39", "+16 % [+12, +20]", "-12 % [-44, +19]", "+1.00 [+0.50, +2.00]", "-1.00 [-2.00, -0.50]"):
        assert figure in text
    assert "60" in text and "2026-02-01 00:00 UTC" in text and "c-ad-1" in text and "10.0" in text and "12.0" in text
    assert all(("segment 1: 30.0" in text, "segment 2: 10.0" in text)) or language == "zh"


@pytest.mark.parametrize("language", PAGES)
def test_nothing_in_the_data_becomes_markup_and_nothing_is_loaded_from_elsewhere(report, language):
    outcome = {**report.outcome, "reasons": [HOSTILE]}
    ad = replace(report.ads[0], headline=HOSTILE, creative_id=HOSTILE, campaign=HOSTILE)
    segment = Segment(0, 1, (HOSTILE,), (HOSTILE,), (HOSTILE,))
    form = replace(report.forms[1], logging_policy=HOSTILE, effects=[("segment", HOSTILE, 1, Interval(0, -1, 1))])
    hostile = replace(
        report, dataset=HOSTILE, outcome=outcome, ads=[ad], segments=[segment], forms=[form], remarks=[HOSTILE]
    )
    page = Reader(report_page(hostile, language))
    assert page.open == ["html"] or not page.open
    assert "script" not in {tag for tag, _ in page.tags} and "49" not in page.text
    sources = [value for _, one in page.tags for name, value in one.items() if name in ("src", "href")]
    assert sources == [PAGES["zh" if language == "en" else "en"], PIXEL]
    assert "url(" not in report_page(hostile, language)


@pytest.mark.parametrize("language", PAGES)
def test_the_page_can_be_read_aloud(report, language):
    """Basics of WCAG: a language, one h1, headings in order, texts for images, headers with a scope."""
    page = Reader(report_page(report, language))
    tags = page.tags
    assert tags[0] == ("html", {"lang": language}) and [tag for tag, _ in tags].count("h1") == 1
    assert {tag for tag, _ in tags if re.fullmatch("h[3-6]", tag)} == set()
    assert all(one.get("alt") for tag, one in tags if tag == "img")
    assert all(one.get("scope") in ("row", "col") for tag, one in tags if tag == "th")
    assert all(one.get("aria-label") for _, one in tags if one.get("role") == "img")
    assert [tag for tag, _ in tags].count("main") == 1


def test_a_run_without_lift_ads_or_generators_says_so(report):
    bare = replace(
        report, forms=report.forms[:1], ads=[], new_ads=0, remarks=[], quality={}, calibration=[], judged=False
    )
    bare = replace(bare, outcome={**bare.outcome, "action": "abstain", "champion": None, "acting": None})
    text = Reader(report_page(bare, "en")).text
    for words in ("No judgement", "The lift is not known.", "There is no champion.", "This run made no new ads."):
        assert words in text
    assert "too optimistic" in text and "Image generators" not in text


def test_every_word_is_there_in_both_languages():
    words = module._words()
    assert all(set(texts) == set(PAGES) and all(texts.values()) for texts in words.values())
    for texts in words.values():  # and with the same places to fill
        slots = [set(re.findall(r"{(\w+)}", text)) for text in texts.values()]
        assert slots[0] == slots[1], texts
    template = (module.FOLDER / "report.html.j2").read_text(encoding="utf-8")
    assert set(re.findall(r'say\("([^"]+)"', template)) <= set(words)


def test_the_scale_holds_every_bound_and_zero():
    scale = Scale.of([Interval(2, 1, 3, truth=5), Interval(4, 3.5, 4.5)])
    assert (scale.low, scale.high) == (-0.25, 5.25)
    assert scale.at(0) == "4.55" and scale.at(2.5) == "50.00" and scale.width(Interval(2, 1, 3)) == "36.36"
    assert Scale.of([]).at(0) == "50.00"


def test_segments_are_described_by_what_is_more_frequent_there_than_elsewhere():
    profiles = pd.DataFrame(
        {
            "segment": [0, 0, 1, 1],
            "categories": ["shoes, bags", "shoes", "lamps, bags", None],
            "brands": [None] * 4,
            "top_terms": ["run, the", "run, the", "the", "the, light"],
        }
    )
    assert _segments(profiles) == [
        Segment(0, 2, ("shoes",), (), ("run",)),
        Segment(1, 2, ("lamps",), (), ("light",)),
    ]


def test_the_wall_shows_the_squarest_ad_that_is_not_too_large():
    sizes = {"a-wide": "728x90", "a-square": "1080x1080", "a-small": "300x250", "b-wide": "320x50"}
    ads = {name: {"creative_id": name[0], "size": size} for name, size in sizes.items()}
    assert _smallest_files(ads) == {"a": "a-small", "b": "b-wide"}
