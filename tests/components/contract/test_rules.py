"""Every rule on rows has a planted fault here, and the fault meets the reason that the rule states, and no other rule.

All faults are planted into one data set, each into rows of its own, so that one validation looks at them all.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.contract.schema import TABLES
from components.contract.validation.suites import read_suite
from components.contract.validation.validate import validate
from components.settings.sections import ValidationConfig
from tests.components.contract.samples import BEGINS, ENDS, bomb, card, png, sample

pytestmark = pytest.mark.usefixtures("equal_tables_checked_once")
DAY = timedelta(days=1)
CENTURY_AGO = BEGINS - 100 * 365 * DAY
IMPRESSIONS = 600


@dataclass(frozen=True)
class Fault:
    """`value` in `column` of `table` breaks the rule with reason `reason`; `also`: rules that it cannot but break."""

    table: str
    column: str
    value: object
    reason: str
    also: tuple[str, ...] = ()


NO_CAMPAIGN = ("the creative belongs to another campaign",)
BEYOND = "infinite or beyond 1e12"
NOT_DECODED = ("image does not decode: it is damaged, cut off or not a picture",)
DIFFERS = ("propensity differs from the shown creative's in candidates",)
NO_SHOWN = "the shown creative is not among the impression's candidates"
UNSOUND = "a candidate of the impression is quarantined, so its distribution is not whole"
SUM = "the propensities of the impression's candidates do not sum to 1"

FORMAT = re.compile("image is .*; save it as PNG, JPEG, WebP or AVIF")  # of images: in test_photos

# One row of an impression each, from row 30 on; the rows before alternate clicks.
ON_IMPRESSIONS = (
    Fault("impressions", "timestamp", None, "timestamp is null"),
    Fault("impressions", "timestamp", CENTURY_AGO, "timestamp is before 1990: its unit or its century is wrong",
          also=("timestamp is earlier than the campaign's starts_at",)),
    Fault("impressions", "timestamp", ENDS + DAY, "timestamp is later than the log's end in dataset.yaml",
          ("timestamp is later than the campaign's ends_at",)),
    Fault("impressions", "timestamp", BEGINS - DAY, "timestamp is earlier than the campaign's starts_at"),
    Fault("impressions", "shopper_id", None, "shopper_id is null"),
    Fault("impressions", "shopper_id", "", "shopper_id is an empty text",
          ("shopper_id names a quarantined row of shoppers",)),
    Fault("impressions", "shopper_id", "nobody", "shopper_id names no row of shoppers"),
    Fault("impressions", "shopper_id", "s-null", "shopper_id names a quarantined row of shoppers"),
    Fault("impressions", "campaign", None, "campaign is null"),
    Fault("impressions", "campaign", "none", "campaign names no row of campaigns", NO_CAMPAIGN),
    Fault("impressions", "campaign", "x-billing", "campaign names a quarantined row of campaigns", NO_CAMPAIGN),
    Fault("impressions", "campaign", "other", "the creative belongs to another campaign"),
    Fault("impressions", "position", None, "position is null"),
    Fault("impressions", "position", 0, "position is below 1"),
    Fault("impressions", "creative_id", None, "creative_id is null", (NO_SHOWN,)),
    Fault("impressions", "creative_id", "none", "creative_id names no row of creatives", (NO_SHOWN,)),
    Fault("impressions", "propensity", None, "propensity is null", (NO_SHOWN,)),
    Fault("impressions", "propensity", float("nan"), "propensity is null", (NO_SHOWN,)),
    Fault("impressions", "propensity", 0.0, "propensity is not in (0, 1]", DIFFERS),
    Fault("impressions", "propensity", 1.5, "propensity is not in (0, 1]", DIFFERS),
    Fault("impressions", "propensity", -0.5, "propensity is not in (0, 1]", DIFFERS),
    Fault("impressions", "propensity", float("inf"), "propensity is not in (0, 1]", DIFFERS),
    Fault("impressions", "propensity", 1e-9, "propensity differs from the shown creative's in candidates"),
    Fault("impressions", "logging_policy", None, "logging_policy is null"),
    Fault("impressions", "logging_policy", "", "logging_policy is an empty text"),
    Fault("impressions", "click", None, "click is null"),
    Fault("impressions", "click", 2, "click is not 0 or 1"),
    Fault("impressions", "click", -1, "click is not 0 or 1"),
    Fault("impressions", "keep_probability", 0.0, "keep_probability is not in (0, 1]"),
    Fault("impressions", "keep_probability", 1.5, "keep_probability is not in (0, 1]"),
    Fault("impressions", "feedback", "love", "feedback is not hide, report, like, share or comment"),
    Fault("impressions", "revenue", float("inf"), f"revenue is {BEYOND}"),
    Fault("impressions", "revenue", float("-inf"), f"revenue is {BEYOND}"),
    Fault("impressions", "cost", -0.01, f"cost is negative, {BEYOND}"),
    Fault("impressions", "cost", float("inf"), f"cost is negative, {BEYOND}"),
    Fault("impressions", "context_local_hour", 24, "context_local_hour is not an hour from 0 to below 24"),
    Fault("impressions", "context_local_hour", -1, "context_local_hour is not an hour from 0 to below 24"),
    Fault("impressions", "context_hour", float("inf"),
          "a number in context_* is infinite or beyond 1e30 (float32 cannot carry it)"),
)  # fmt: skip

# Rows that nothing else refers to, each added to its table under an id of its own.
ADDED = (
    Fault("campaigns", "campaign", None, "campaign is null"),
    Fault("campaigns", "campaign", "", "campaign is an empty text"),
    Fault("campaigns", "advertiser_id", None, "advertiser_id is null"),
    Fault("campaigns", "advertiser_id", "", "advertiser_id is an empty text"),
    Fault("campaigns", "objective", None, "objective is null"),
    Fault("campaigns", "objective", "fame", "objective is not click, conversion or revenue"),
    Fault("campaigns", "starts_at", None, "starts_at is null"),
    Fault("campaigns", "ends_at", None, "ends_at is null"),
    Fault("campaigns", "ends_at", BEGINS, "ends_at is not later than starts_at"),
    Fault("campaigns", "billing", None, "billing is null"),
    Fault("campaigns", "billing", "cpa", "billing is not cpm or cpc"),
    Fault("campaigns", "locale", None, "locale is null"),
    Fault("campaigns", "locale", "English!", "locale is not one such as en or zh-CN"),
    Fault("campaigns", "brand_color", "red", "brand_color is not one such as #1a2b3c"),
    Fault("campaigns", "budget", -1.0, f"budget is negative, {BEYOND}"),
    Fault("campaigns", "budget", float("inf"), f"budget is negative, {BEYOND}"),
    Fault("campaigns", "bid", float("inf"), f"bid is negative, {BEYOND}"),
    Fault("campaigns", "frequency_cap", -1, "frequency_cap is negative"),
    Fault("creatives", "creative_id", None, "creative_id is null"),
    Fault("creatives", "creative_id", "", "creative_id is an empty text"),
    Fault("creatives", "campaign", None, "campaign is null"),
    Fault("creatives", "campaign", "none", "campaign names no row of campaigns"),
    Fault("creatives", "campaign", "x-billing", "campaign names a quarantined row of campaigns"),
    Fault("creatives", "origin", None, "origin is null"),
    Fault("creatives", "origin", " ", "origin is an empty text"),
    Fault("creatives", "active_until", BEGINS - DAY, "active_until is earlier than active_from"),
    Fault("creatives", "product_id", "none", "product_id names no row of products"),
    Fault("creatives", "product_id", "p-price", "product_id names a quarantined row of products"),
    Fault("creatives", "image_id", "none", "image_id names no row of images"),
    Fault("creatives", "image_id", "i-text", "image_id names a quarantined row of images"),
    Fault("creatives", "conditions", "{segment: 1}", "conditions is not JSON"),
    Fault("creatives", "feature_contrast", float("inf"),
          "a number in feature_* is infinite or beyond 1e30 (float32 cannot carry it)"),
    Fault("products", "product_id", None, "product_id is null"),
    Fault("products", "product_id", "", "product_id is an empty text"),
    Fault("products", "category", None, "category is null"),
    Fault("products", "category", "", "category is an empty text"),
    Fault("products", "price", -1.0, f"price is negative, {BEYOND}"),
    Fault("products", "image_id", "none", "image_id names no row of images"),
    Fault("products", "image_id", "i-text", "image_id names a quarantined row of images"),
    Fault("products", "feature_weight", 1e31,
          "a number in feature_* is infinite or beyond 1e30 (float32 cannot carry it)"),
    Fault("images", "image_id", None, "image_id is null"),
    Fault("images", "image_id", "", "image_id is an empty text"),
    Fault("images", "image", None, "image is null", ("image is not a picture", *NOT_DECODED)),
    Fault("images", "image", b"not a picture", "image is not a picture", NOT_DECODED),
    Fault("images", "image", png(size=(40, 40))[:900], NOT_DECODED[0]),
    Fault("images", "image", bomb(9_000, 9_000), "image declares no pixels, or more than 25 million", NOT_DECODED),
    Fault("images", "split", "valid", "split is not train or test"),
    Fault("events", "event_id", None, "event_id is null"),
    Fault("events", "event_id", "", "event_id is an empty text"),
    Fault("events", "timestamp", None, "timestamp is null"),
    Fault("events", "timestamp", CENTURY_AGO, "timestamp is before 1990: its unit or its century is wrong"),
    Fault("events", "timestamp", ENDS + DAY, "timestamp is later than the log's end in dataset.yaml"),
    Fault("events", "shopper_id", None, "shopper_id is null"),
    Fault("events", "shopper_id", "", "shopper_id is an empty text",
          ("shopper_id names a quarantined row of shoppers",)),
    Fault("events", "shopper_id", "nobody", "shopper_id names no row of shoppers"),
    Fault("events", "shopper_id", "s-null", "shopper_id names a quarantined row of shoppers"),
    Fault("events", "kind", None, "kind is null"),
    Fault("events", "kind", "stare", "kind is not one of the contract's"),
    Fault("events", "product_id", "none", "product_id names no row of products"),
    Fault("events", "product_id", "p-price", "product_id names a quarantined row of products"),
    Fault("events", "dwell_seconds", -1.0, "dwell_seconds is negative, infinite or beyond 1e9"),
    Fault("events", "dwell_seconds", float("inf"), "dwell_seconds is negative, infinite or beyond 1e9"),
    Fault("events", "value", float("inf"), f"value is {BEYOND}"),
    Fault("shoppers", "shopper_id", None, "shopper_id is null"),
    Fault("shoppers", "shopper_id", "", "shopper_id is an empty text"),
    Fault("shoppers", "consent", None, "consent is null"),
    Fault("shoppers", "feature_age", float("-inf"),
          "a number in feature_* is infinite or beyond 1e30 (float32 cannot carry it)"),
)  # fmt: skip

# Rows of `candidates`, each of an impression of its own, and what that does to the impression.
ON_CANDIDATES = (
    Fault("candidates", "impression_id", None, "impression_id is null", (SUM,)),
    Fault("candidates", "impression_id", "none", "impression_id names no row of impressions", (SUM,)),
    Fault("candidates", "creative_id", None, "creative_id is null", (UNSOUND,)),
    Fault("candidates", "creative_id", "none", "creative_id names no row of creatives", (UNSOUND,)),
    Fault("candidates", "creative_id", "c-conditions", "creative_id names a quarantined row of creatives", (UNSOUND,)),
    Fault("candidates", "propensity", None, "propensity is null", (UNSOUND, SUM)),
    Fault("candidates", "propensity", 1.5, "propensity is not in [0, 1]", (UNSOUND, SUM)),
    Fault("candidates", "propensity", -0.1, "propensity is not in [0, 1]", (UNSOUND, SUM)),
    Fault("candidates", "propensity", float("inf"), "propensity is not in [0, 1]", (UNSOUND, SUM)),
)
NAMED = {  # ids of added rows that other faults refer to
    ("campaigns", "billing", "cpa"): "x-billing",
    ("products", "price", -1.0): "p-price",
    ("images", "image", b"not a picture"): "i-text",
    ("shoppers", "consent", None): "s-null",
    ("creatives", "conditions", "{segment: 1}"): "c-conditions",
}


def _with_value(frame, row, column, value):
    values = frame[column].astype(object)
    values.loc[row] = value
    return frame.assign(**{column: values})


def _added(tables):
    """`tables` with one row per fault of ADDED; each a copy of its table's first row under a new id."""
    for at, fault in enumerate(ADDED):
        (key,) = TABLES[fault.table].key
        frame = tables[fault.table]
        row = frame.head(1).astype(object)
        row[key] = NAMED.get((fault.table, fault.column, fault.value), f"{fault.table}-{at}")
        row[fault.column] = pd.Series([fault.value], index=row.index, dtype=object)
        tables = {**tables, fault.table: pd.concat([frame.astype(object), row], ignore_index=True)}
    return tables


def _infer(frame):
    return frame.assign(**{name: frame[name].infer_objects() for name in frame if name != "image"})


def _planted():
    """The data set, and for each fault on impressions or candidates the impression that it is planted into."""
    clean = sample(impressions=IMPRESSIONS)
    other = clean["campaigns"].tail(1).assign(campaign="other")
    tables = _added({**clean, "campaigns": pd.concat([clean["campaigns"], other], ignore_index=True)})
    places = {}
    for row, fault in enumerate(ON_IMPRESSIONS, start=30):
        places[fault] = clean["impressions"]["impression_id"][row]
        tables["impressions"] = _with_value(tables["impressions"], row, fault.column, fault.value)
    offered = clean["candidates"]
    shown = clean["impressions"].set_index("impression_id")["creative_id"]
    other_than_shown = offered[offered["creative_id"] != offered["impression_id"].map(shown)]
    for row, fault in enumerate(ON_CANDIDATES, start=100):
        place = places[fault] = clean["impressions"]["impression_id"][row]
        label = other_than_shown.index[other_than_shown["impression_id"] == place][0]
        tables["candidates"] = _with_value(tables["candidates"], label, fault.column, fault.value)
    return {name: _infer(frame) for name, frame in tables.items()}, places


@pytest.fixture(scope="module")
def planted():
    tables, places = _planted()
    return tables, places, validate(tables, card(), ValidationConfig(max_quarantined=0.99))


def _reasons(validated, table, key, value):
    frame = validated.quarantine[table]
    rows = frame[frame[key].isna()] if value is None else frame[frame[key] == value]
    assert len(rows) == 1
    return set(rows["reason"].iloc[0].split("; "))


@pytest.mark.parametrize("fault", ON_IMPRESSIONS, ids=lambda fault: f"{fault.column}={fault.value}")
def test_a_fault_of_an_impression_is_quarantined_with_its_reason(planted, fault):
    _, places, validated = planted
    assert _reasons(validated, "impressions", "impression_id", places[fault]) == {fault.reason, *fault.also}
    candidates = validated.quarantine["candidates"]
    gone = candidates[candidates["impression_id"] == places[fault]]
    assert len(gone) == 4
    assert set(gone["reason"]) == {"impression_id names a quarantined row of impressions"}


@pytest.mark.parametrize("fault", ADDED, ids=lambda fault: f"{fault.table}.{fault.column}={str(fault.value)[:20]}")
def test_a_fault_of_another_table_is_quarantined_with_its_reason(planted, fault):
    _, _, validated = planted
    (key,) = TABLES[fault.table].key
    identity = NAMED.get((fault.table, fault.column, fault.value), f"{fault.table}-{ADDED.index(fault)}")
    found = _reasons(validated, fault.table, key, fault.value if fault.column == key else identity)
    assert fault.reason in found
    assert found <= {fault.reason, *fault.also}


@pytest.mark.parametrize("fault", ON_CANDIDATES, ids=lambda fault: f"{fault.column}={fault.value}")
def test_a_bad_candidate_takes_its_impression_and_the_whole_set_along(planted, fault):
    _, places, validated = planted
    broken = {rule.reason for rule in validated.report.table("candidates").broken}
    assert fault.reason in broken
    assert _reasons(validated, "impressions", "impression_id", places[fault]) == set(fault.also)
    assert not (validated.tables["candidates"]["impression_id"] == places[fault]).any()


def test_what_was_not_planted_is_kept(planted):
    tables, places, validated = planted
    assert len(validated.quarantine["impressions"]) == len(places)
    assert len(validated.tables["impressions"]) == IMPRESSIONS - len(places)
    for name in ("campaigns", "creatives", "products", "images", "events", "shoppers"):
        assert len(validated.quarantine[name]) == sum(fault.table == name for fault in ADDED)
        assert len(validated.tables[name]) + len(validated.quarantine[name]) == len(tables[name])


def test_what_is_kept_has_the_types_of_clean_data(planted):
    _, _, validated = planted
    clean = validate(sample(), card(), ValidationConfig()).tables
    for name, frame in validated.tables.items():
        assert frame.dtypes.to_dict() == clean[name].dtypes.to_dict() | (
            {"context_hour": np.dtype("float64")} if name == "impressions" else {}
        )


CONVERSIONS = {
    "m20": ("click", 0, "conversion", 1, "conversion is not 0 although nobody clicked"),
    "m22": ("click", 0, "conversion", None, "conversion is not 0 although nobody clicked"),
    "m24": ("click", 1, "conversion", 2, "conversion is not 0 or 1"),
    "m26": ("click", 1, "conversion", None, "conversion is null although the conversion window has passed"),
    "m598": ("click", 1, "conversion", 0, "conversion is known before the conversion window has passed"),
    "m599": ("click", 1, "conversion", 1, "conversion is known before the conversion window has passed"),
}


def test_conversion_is_zero_without_click_null_while_open_and_then_final():
    tables = sample(impressions=IMPRESSIONS)
    frame = tables["impressions"].set_index("impression_id", drop=False)
    for place, (first, click, second, conversion, _) in CONVERSIONS.items():
        frame.loc[place, [first, "conversion_timestamp"]] = [click, pd.NaT]
        frame.loc[place, second] = pd.NA if conversion is None else conversion
    late = {"m28": timedelta(days=8), "m29": timedelta(seconds=-1)}
    for place, after in late.items():
        frame.loc[place, ["click", "conversion"]] = 1
        frame.loc[place, "conversion_timestamp"] = frame.loc[place, "timestamp"] + after
    frame.loc["m5", "conversion_timestamp"] = frame.loc["m5", "timestamp"]
    frame.loc["m5", ["click", "conversion"]] = [1, 0]
    validated = validate({**tables, "impressions": frame}, card(), ValidationConfig(max_quarantined=0.99))
    fits = "conversion_timestamp is without a conversion, before the impression or after its window"
    expected = {place: fault[-1] for place, fault in CONVERSIONS.items()} | dict.fromkeys((*late, "m5"), fits)
    found = validated.quarantine["impressions"].set_index("impression_id")["reason"].to_dict()
    assert found == expected


def test_a_log_that_tracks_no_conversions_is_not_held_to_their_rules():
    tables = sample()
    frame = tables["impressions"].assign(conversion=None, conversion_timestamp=None, revenue=None)
    validated = validate({**tables, "impressions": frame}, card(), ValidationConfig(max_quarantined=0.0))
    told = [one.reason for one in validated.report.unchecked if "does not track conversions" in one.why]
    assert len(told) == 3


def test_an_impression_needs_candidates_and_the_shown_one_among_them():
    tables = sample()
    shown = tables["impressions"].set_index("impression_id")["creative_id"]
    rows = tables["candidates"]
    is_shown = rows["creative_id"] == rows["impression_id"].map(shown)
    less = rows[(rows["impression_id"] != "m7") & ~((rows["impression_id"] == "m9") & is_shown)]
    validated = validate({**tables, "candidates": less}, card(), ValidationConfig(max_quarantined=0.5))
    found = validated.quarantine["impressions"].set_index("impression_id")["reason"]
    assert found["m7"] == f"the impression has no candidates; {NO_SHOWN}"
    assert found["m9"] == f"{SUM}; {NO_SHOWN}"
    assert set(found.index) == {"m7", "m9"}


@pytest.mark.parametrize(("error", "refused"), [(1e-9, False), (1e-5, True), (-1e-5, True)])
def test_candidates_sum_to_one_within_rounding(error, refused):
    tables = sample()
    shown = tables["impressions"].set_index("impression_id")["creative_id"]
    rows = tables["candidates"].copy()
    other = rows.index[(rows["impression_id"] == "m9") & (rows["creative_id"] != shown["m9"])][0]
    rows.loc[other, "propensity"] += error
    validated = validate({**tables, "candidates": rows}, card(), ValidationConfig(max_quarantined=0.5))
    assert len(validated.quarantine["impressions"]) == refused


def test_without_candidates_the_shown_creative_must_be_active():
    tables = sample()
    frame, creatives = tables["impressions"], tables["creatives"].set_index("creative_id", drop=False)
    late, early = frame["creative_id"].value_counts().index[:2]
    creatives.loc[late, "active_from"] = pd.Timestamp(ENDS) - DAY
    creatives.loc[early, "active_until"] = pd.Timestamp(BEGINS) + DAY
    creatives.loc[early, "active_from"] = pd.NaT
    creatives.loc[late, "active_until"] = pd.NaT
    expected = ((frame["creative_id"] == late) & (frame["timestamp"] < ENDS - DAY)) | (
        (frame["creative_id"] == early) & (frame["timestamp"] > BEGINS + DAY)
    )
    less = {name: table for name, table in tables.items() if name != "candidates"} | {"creatives": creatives}
    validated = validate(less, _card_without_candidates(), ValidationConfig(max_quarantined=0.9))
    gone = validated.quarantine["impressions"]
    assert set(gone["impression_id"]) == set(frame.loc[expected, "impression_id"])
    assert expected.sum() > 5
    assert set(gone["reason"]) == {
        "the creative was not active at the timestamp, and no candidates say that it was eligible"
    }


def _card_without_candidates():
    return card(simulated=tuple(name for name in TABLES if name != "candidates"))


def test_every_rule_on_rows_is_broken_by_some_fault_above(planted):
    _, _, validated = planted
    broken = {(table.table, rule.reason) for table in validated.report.tables for rule in table.broken}
    elsewhere = {fault[-1] for fault in CONVERSIONS.values()} | {
        "conversion_timestamp is without a conversion, before the impression or after its window",
        "the impression has no candidates",
        "the creative was not active at the timestamp, and no candidates say that it was eligible",
        "creative_id names a quarantined row of creatives",  # of impressions: in test_validation
        "impression_id is null",
        "impression_id is an empty text",
    }
    rules = {(name, rule.reason) for name in TABLES for rule in read_suite(name).rules if not rule.stops}
    assert {rule for rule in rules - broken if rule[1] not in elsewhere and not FORMAT.match(rule[1])} == set()


def test_an_impression_without_an_id_is_quarantined():
    tables = sample()
    frame = tables["impressions"].copy()
    frame.loc[[3, 4], "impression_id"] = [None, ""]
    candidates = tables["candidates"][~tables["candidates"]["impression_id"].isin(["m3", "m4"])]
    changed = {**tables, "impressions": frame, "candidates": candidates}
    validated = validate(changed, card(), ValidationConfig(max_quarantined=0.5))
    reasons = validated.quarantine["impressions"]["reason"].tolist()
    assert reasons[0].startswith("impression_id is null")
    assert reasons[1].startswith("impression_id is an empty text")
    assert len(reasons) == 2
