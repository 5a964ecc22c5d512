"""Hostile texts on the pages that people read: each is shown, and none makes a link, a picture, a tag or a row."""

import csv
import io
from types import SimpleNamespace

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from components.contract.escaping import terminal
from components.contract.validation import data_docs
from components.contract.validation.data_report import DataReport, RuleCount, TableReport
from components.evaluation.breakdowns import LevelEffect
from components.evaluation.intervals.resampling import Interval
from components.evaluation.reports.evaluation_report import page as evaluation_page
from components.workflow.pages.creatives_page import creatives_page
from components.workflow.pages.evaluation_page import estimates
from components.workflow.pages.features_page import features_page
from components.workflow.pages.interest_page import interest_page
from components.workflow.publishing import publication
from tests.components.contract.test_escaping import HOSTILE, Seen

OURS = {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "strong"}


def rendered(text: str) -> Seen:
    return Seen(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def of_features(text):
    impressions = pd.DataFrame({"split": ["train"], "click": [1], "context_x": [0.0]})
    profiles = pd.DataFrame({"shopper_id": [text], "terms": [text]})
    built = SimpleNamespace(impressions=impressions, creatives=[], shopper_profiles=profiles, messages=(text,))
    return features_page(built)


def of_creatives(text):
    record = {"generators": {}, "gate": {"passed": False, "reasons": [text]}, "pool": 0, "remarks": [text]}
    return creatives_page(record, {})


def of_interest(text):
    return interest_page({"candidates": [], "champion": text, "passed": False, "reasons": [text]})


def of_outcome(text):
    return publication.page({"dataset": "shop", "action": "refuse", "champion": None, "reasons": [text]})


def of_validation(text):
    rule = RuleCount(("x",), text, "warning", 1, (text,))
    table = TableReport("impressions", 1, 0, 1, 0, 1, (rule,))
    return data_docs.summary_page(DataReport("shop", (table,), {"events": text}, (), ()))


def of_evaluation(text):
    effect = LevelEffect(text, text, 1, Interval(0.0, -1.0, 1.0))
    finding = SimpleNamespace(kind="kind", severity="notice", message=text)
    evaluation = SimpleNamespace(
        verdict="abstain", reasons=[text], n=1, uncovered=0.0, baseline=None, lift=None, relative_lift=None,
        estimates=(), selected=None, card=None, findings=(finding,),
    )  # fmt: skip
    return evaluation_page(SimpleNamespace(evaluation=evaluation, metrics=(), segments=(effect,), elements=()))


WRITERS = [of_features, of_creatives, of_interest, of_outcome, of_validation, of_evaluation]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_hostile_text_changes_nothing_of_a_page(write):
    calm = rendered(write("calm")).tags
    assert set(calm) <= OURS
    for text in HOSTILE:
        assert rendered(write(text)).tags == calm, text


@pytest.mark.parametrize("name", HOSTILE)
def test_estimates_are_rows_that_no_spreadsheet_runs(name):
    estimate = {"estimator": "ips", "value": -0.5, "ci_low": -1.0, "ci_high": 0.0}
    record = [{"form": "table", "logs": [{"logging_policy": name, "evaluation": {"estimates": [estimate]}}]}]
    head, row = csv.reader(io.StringIO(estimates(record), newline=""))
    assert head == ["form", "logging_policy", "estimator", "value", "ci_low", "ci_high"]
    assert row[1].removeprefix("'") == terminal(name) and row[3:] == ["-0.5", "-1.0", "0.0"]
    assert not row[1].lstrip().startswith(("=", "+", "-", "@"))
