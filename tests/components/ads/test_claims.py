"""Claims that ad copy makes, the facts that back them, and lines that claim nothing else."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ads.admission import Candidates, Standards, admit
from components.ads.copy.claims import KINDS, amount_of, claims_of
from components.ads.copy.lines import LINES, LONGEST, lines_for
from components.ads.copy.product_facts import NOTHING_KNOWN, ProductFacts, facts_by_product
from components.features.products.product_attributes import writing_system
from tests.components.ads.candidates import worded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Up to 30% off", {("discount", 30.0)}),
        ("Save 20 % now", {("discount", 20.0)}),
        ("全场七折", {("discount", 30.0)}),
        ("八五折起", {("discount", 15.0)}),
        ("8.5折", {("discount", 15.0)}),
        ("Only 3 left!", {("scarcity", 3.0)}),
        ("Selling fast", {("scarcity", None)}),
        ("仅剩2件", {("scarcity", None)}),
        ("Last chance: ends tonight", {("deadline", None)}),
        ("限时特惠", {("deadline", None), ("discount", None)}),
        ("Rated 4.8 stars", {("rating", None), ("rating", 4.8)}),
        ("顾客好评", {("rating", None)}),
        ("Our best seller", {("popularity", None)}),
        ("Loved by 20,000 shoppers", {("popularity", None), ("popularity", 20000.0)}),
        ("The best chair", {("superlative", None)}),
        ("销量第一", {("popularity", None), ("superlative", None)}),
        ("Now €1,245.00", {("price", 1245.0)}),
        ("nur 1.245,50 €", {("price", 1245.5)}),
        ("只要199元", {("price", 199.0)}),
        ("Free shipping", {("free", None)}),
        ("New: a chair", {("novelty", None)}),
        ("新品上架", {("novelty", None)}),
        # no claims
        ("Made to last, easy to love", set()),
        ("100 percent wool, 4 colours", set()),
        ("What will you wear tomorrow?", set()),
        ("Freedom to move, wholesale of nothing", set()),
        ("A new look for the weekend", set()),
        ("看看这款椅子", set()),
        ("", set()),
    ],
)
def test_claims_are_found_with_their_numbers(text, expected):
    assert {(claim.kind, claim.number) for claim in claims_of(text)} == expected


@pytest.mark.parametrize(
    ("written", "amount"),
    [("1,245.00", 1245.0), ("1.245,00", 1245.0), ("20,000", 20000.0), ("19.99", 19.99), ("19,9", 19.9), ("5", 5.0)],
)
def test_amounts_are_read_in_either_notation(written, amount):
    assert amount_of(written) == amount


FACTS = ProductFacts(
    "Oak Chair",
    "Nord",
    "Chairs",
    price=80.0,
    list_price=100.0,
    rating=4.7,
    stock=3,
    bestseller=True,
    buyers=50,
    new=True,
)


@pytest.mark.parametrize(
    ("text", "backed"),
    [
        ("20% off", True),
        ("30% off", False),
        ("On sale", True),
        ("Only 3 left", True),
        ("Only 2 left", False),
        ("Rated 4.5 stars", True),
        ("Rated 4.9 stars", False),
        ("Bestseller", True),
        ("50 shoppers bought it", True),
        ("20,000 shoppers bought it", False),
        ("For $80.00", True),
        ("For $79.00", False),
        ("Was $100.00", False),  # a list price is not what it costs
        ("New in", True),
        ("Ends tonight", False),
        ("Free shipping", False),
        ("The best chair", False),
    ],
)
def test_a_claim_is_backed_by_a_fact_and_its_number(text, backed):
    assert (FACTS.ungrounded(text) is None) == backed
    assert NOTHING_KNOWN.ungrounded(text) is not None


def test_an_ad_with_a_claim_that_nothing_backs_is_refused_by_kind():
    words = worded(
        {"headline": "20% off", "product_id": "chair"},
        {"headline": "20% off", "product_id": "lamp"},
        {"headline": "Sit down", "call_to_action": "Buy the best", "product_id": "chair"},
        {"headline": "20% off", "product_id": None},
        {"headline": "Sit down", "product_id": None},
    )
    reasons = admit(Candidates(words.words), Standards(facts={"chair": FACTS}), reads=("texts",))
    discount = "makes a claim of discount that no table backs"
    assert reasons.tolist() == ["", discount, "makes a claim of superlative that no table backs", discount, ""]
    assert set(admit(Candidates(words.words), Standards(), reads=("texts",))) == {""}, "without facts none is judged"


def test_facts_are_read_from_the_tables_as_of_the_last_impression():
    now = pd.Timestamp("2026-03-01", tz="UTC")
    products = pd.DataFrame(
        {
            "product_id": ["a", "b", "c", "d", "e"],
            "category": ["x", "x", "x", "x", None],
            "title": ["A", None, "C", "D", "E"],
            "price": [10.0, float("nan"), 5.0, 1.0, 2.0],
            "feature_list_price": [20.0, 9.0, 5.0, None, None],
            "feature_rating": [4.6, None, None, None, None],
            "features_from": [now - pd.Timedelta(days=days) for days in (1, 40, 28, -1, 3)],
        }
    )
    bought = {"a": 12, "b": 11, "c": 10, "d": 9}
    rows = [(product, f"s{number % 7}", 2) for product, count in bought.items() for number in range(count)]
    rows += [("d", "s1", 40)] * 50 + [("c", "s1", -1)] * 50  # before the 28 days, and after the log
    events = pd.DataFrame(rows, columns=["product_id", "shopper_id", "days"])
    events = events.assign(timestamp=now - pd.to_timedelta(events["days"], unit="D"), kind="purchase")
    events.loc[len(events)] = ("e", "s1", 1, now - pd.Timedelta(days=1), "view")
    impressions = pd.DataFrame({"timestamp": [now - pd.Timedelta(days=9), now]})
    facts = facts_by_product({"products": products, "events": events, "impressions": impressions})
    assert {name: one.bestseller for name, one in facts.items()} == dict(a=True, b=True, c=True, d=False, e=False)
    assert {name: one.buyers for name, one in facts.items()} == dict(a=7, b=7, c=7, d=7, e=0)
    assert {name: one.new for name, one in facts.items()} == dict(a=True, b=False, c=False, d=False, e=True)
    assert facts["a"].discount == 50 and facts["b"].discount is None and facts["c"].discount is None
    assert (facts["a"].rating, facts["b"].price, facts["b"].title) == (4.6, None, None)
    bare = products[["product_id", "category"]]
    assert facts_by_product({"products": bare, "impressions": impressions})["a"] == ProductFacts(category="x")
    assert facts_by_product({"impressions": impressions}) == {}


@st.composite
def any_facts(draw) -> ProductFacts:
    text = st.one_of(
        st.none(), st.sampled_from(["Oak Chair", "橡木餐椅", "The Best Lamp", "50% off {price}", "", "T" * 300])
    )
    number = st.one_of(st.none(), st.floats(0.5, 1e5).map(lambda value: round(value, 2)))
    names = dict.fromkeys(("title", "brand", "category"), text) | dict.fromkeys(
        ("price", "list_price", "stock"), number
    )
    values = {name: draw(strategy) for name, strategy in names.items()}
    rating = draw(st.one_of(st.none(), st.floats(0.5, 5)))
    return ProductFacts(**values, rating=rating, bestseller=draw(st.booleans()), buyers=3, new=draw(st.booleans()))


@given(any_facts(), st.sampled_from(["en", "en-GB", "zh-CN", "zh_TW"]), st.sampled_from(["EUR", "JPY", "CNY"]))
@settings(max_examples=150, deadline=None)
def test_lines_say_only_what_the_facts_back(facts, locale, currency):
    lines = lines_for(facts, locale, currency)
    assert len(set(lines)) == len(lines) and lines == lines_for(facts, locale, currency)
    for line in lines:
        assert 0 < len(line) <= LONGEST and "None" not in line and facts.title
        assert all(facts.backs(claim) for claim in claims_of(line))


def test_each_occasion_has_lines_in_both_languages():
    assert all(set(lines) == {"en", "zh"} and all(lines.values()) for lines in LINES.values())
    english, chinese = lines_for(FACTS, "en", "EUR"), lines_for(FACTS, "zh-CN", "EUR")
    for wanted in (
        "Nord Oak Chair",
        "Oak Chair for €80.00",
        "20% off: Oak Chair",
        "New: Oak Chair",
        "Only 3 left: Oak Chair",
    ):
        assert wanted in english
    assert "热销：Oak Chair" in chinese and not any("Chairs" in line for line in chinese)
    assert all(writing_system(line) == "CJK" for line in chinese if line != "Nord Oak Chair" and "€80" not in line)
    assert lines_for(FACTS, "fr", "EUR") == [] and lines_for(NOTHING_KNOWN, "en", "EUR") == []
    assert set(KINDS) >= {"discount", "rating", "scarcity", "popularity", "price", "novelty"}
