"""The contract that every admission rule passes, the rule on banned words, and a rule that a user adds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ads import admission
from components.ads.admission import ADMISSION_RULES, AdmissionRule, Candidates, Standards, admit
from components.ads.contact_sheets import known_texts
from components.ads.copy.admitted_texts import admitted_texts
from components.ads.copy.banned_words import banned_word
from components.ads.copy.copy_choice import combinations, wordings
from components.ads.pools.generated_ads import generated_ads
from components.ads.pools.pool import fill_pool
from components.ads.rendering.ad_sizes import ad_sizes
from components.generators.quality.photo_manifold import Manifold
from components.images import PictureEncoder
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import AdsConfig
from tests.components.ads.candidates import worded
from tests.components.ads.test_pool import Sketcher, brightness

BANNED = {"en": ("miracle", "free shipping"), "zh-CN": ("最佳",), "de": ("größe",)}


@pytest.fixture(scope="module")
def standards(photos):
    manifold = Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, 8))
    return Standards(manifold, 0.05, BANNED, {}, ad_sizes(("300x250", "320x50")), recognises=Certain())


class Certain:
    """Recognises every image as a coat."""

    categories = ("coats", "discs")

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """The same for all."""
        return np.tile([0.99, 0.01], (len(pictures), 1))


@pytest.fixture(scope="module")
def candidates(photos) -> Candidates:
    """Sound ones, one that each rule refuses, and texts of every kind."""
    sound = Sketcher(photos).sample(np.arange(7) % 3, None, seed=9)
    noise = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 1), dtype=np.uint8)
    pictures = np.concatenate([sound, photos.pictures[:1], noise, sound[:1]])
    words = [dict.fromkeys(("headline", "call_to_action"), "Shop now") for _ in pictures]
    words[1]["headline"], words[2]["call_to_action"], words[3]["headline"] = "A miracle!", "\U0010fffd", None
    words[4]["headline"] = "Only 3 left in stock"
    words[5]["headline"] = "A line of words that goes on " * 4
    rows = [{**row, "campaign": "a", "locale": "en-GB"} for row in words]
    rows[-4] |= {"headline": "Click here", "locale": "en-US"}
    rows[0] |= {"category": "coats"}
    rows[1] |= {"category": "discs"}
    rows[2] |= {"category": "unheard"}
    words = worded(*rows).words.assign(image_id=None)
    words.loc[[0, 3], ["image_id", "headline"]] = [["i1", "Warm days"], ["i1", "WARM  days!"]]
    return Candidates(words, pictures)


def test_rules_have_names_of_their_own():
    assert len({rule.name for rule in ADMISSION_RULES}) == len(ADMISSION_RULES)


@pytest.mark.parametrize("rule", ADMISSION_RULES, ids=lambda rule: rule.name)
def test_a_rule_gives_each_candidate_one_reason_or_none(rule, candidates, standards):
    reasons = rule.reasons(candidates, standards)
    assert reasons.shape == (len(candidates),) and all(isinstance(reason, str) for reason in reasons)
    assert (reasons != "").any(), "the candidates hold one that the rule refuses"
    assert (reasons == "").any()
    assert reasons.tolist() == rule.reasons(candidates, standards).tolist()
    assert len(rule.reasons(candidates.only(np.array([], int)), standards)) == 0
    if not rule.compares:  # each candidate for itself, in whatever company
        order = np.random.default_rng(0).permutation(len(candidates))
        assert rule.reasons(candidates.only(order), standards).tolist() == reasons[order].tolist()


@pytest.mark.parametrize(
    "rule", [rule for rule in ADMISSION_RULES if rule.reads == "texts"], ids=lambda rule: rule.name
)
def test_a_rule_on_texts_needs_no_picture(rule, candidates, standards):
    alone = rule.reasons(Candidates(candidates.words), dataclasses.replace(standards, manifold=None))
    assert alone.tolist() == rule.reasons(candidates, standards).tolist()


def test_the_first_rule_that_refuses_gives_the_reason(candidates, standards):
    reasons = admit(candidates, standards)
    assert reasons[1] == "has the word 'miracle', which ads.banned_words.en bans"
    assert reasons[2].startswith("no font here has")
    assert reasons[-3:].tolist() == [
        "copies a product photo",
        "does not look like a product photo",
        "is a near-duplicate of another generated image",
    ]
    assert (
        reasons[6] == "has the word 'click here', which the market us bans (editorial rules of the large ad networks)"
    )
    assert reasons[4] == "makes a claim of scarcity that no table backs"
    assert reasons[5] == "has a text that does not fit in 300x250"
    assert reasons[0] == ""


@pytest.mark.parametrize(
    ("text", "locale", "word"),
    [
        ("A MIRACLE cure", "en", "miracle"),
        ("A Mïráclé", "en-US", "miracle"),
        ("Ｍｉｒａｃｌｅ", "en", "miracle"),  # in full width
        ("mi\u00adra\u200bcle", "en", "miracle"),  # with signs that nobody reads
        ("miracles", "en", None),
        ("premiracle", "en", None),
        ("A miracle cure", "fr", None),
        ("A miracle cure", "eng", None),
        ("Free\u00a0 shipping today", "en", "free shipping"),
        ("Free of shipping", "en", None),
        ("本店最佳选择", "zh-CN", "最佳"),
        ("最 佳", "zh-CN", "最佳"),
        ("最好", "zh-CN", None),
        ("本店最佳选择", "zh", None),  # zh-CN alone bans it
        ("GROSSE GRÖSSE", "de-AT", "größe"),
        ("买miracle吧", "en", "miracle"),
        ("miracle", None, None),
    ],
)
def test_banned_words_are_found_as_readers_see_them(text, locale, word):
    reason = banned_word(text, locale, BANNED)
    assert reason is None if word is None else f"'{word}'" in reason


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["free", "最佳", "免费", "straße"]))
def test_a_banned_word_that_stands_by_itself_is_always_found(before, after, word):
    assert banned_word(f"{before} {word.upper()} {after}", "xx", {"xx": (word,)})


TABLES = {
    "campaigns": pd.DataFrame({"campaign": ["a", "b"], "locale": ["en", "zh-CN"], "brand_color": None}),
    "products": pd.DataFrame({"product_id": ["p1", "p2"], "category": ["top", "disc"]}),
    "creatives": pd.DataFrame(
        {
            "creative_id": ["c1", "c2", "c3", "c4"],
            "campaign": ["a", "a", "b", "b"],
            "origin": "people",
            "product_id": ["p1", "p2", "p2", "p2"],
            "template": "plain",
            "headline": ["A miracle", "Warm coats", "A miracle", "本店最佳选择"],
            "call_to_action": ["Go", "Free shipping", "买", "买"],
            "palette": "warm",
        }
    ),
}


def said_in(photos, written, standards) -> set:
    """Every text that the pool, the words of `adloom generate`, and the choice for a context can say."""
    pool = fill_pool(written, [generated_ads(written, [Sketcher(photos)], 6, seed=0)], standards, brightness, 6)
    known = known_texts(written)
    chosen = [combinations(campaign, np.random.default_rng(0)) for campaign in wordings(written)]
    names = ("headline", "call_to_action")
    said = {(row.campaign, getattr(row, name)) for row in pool.creatives.itertuples() for name in names}
    said |= {(None, text[name]) for text in known for name in names}
    return said | {(None, text) for rows in chosen for name in names for text in rows[name]}


def test_a_banned_word_is_said_nowhere_in_its_market(photos, standards):
    written, remarks = admitted_texts(TABLES, standards)
    said = said_in(photos, written, standards)
    texts = {text for _, text in said if isinstance(text, str)}
    assert texts == {"Warm coats", "A miracle", "Go", "买"}
    assert ("a", "A miracle") not in said and ("b", "A miracle") in said  # its market speaks Chinese
    reason = "has the word 'miracle', which ads.banned_words.en bans"
    assert f"headline 'A miracle' is in no new ad: {reason}" in remarks
    (counted,) = [remark for remark in remarks if remark.startswith("pool: ")]
    assert f"{reason} (1)" in counted and "ads.banned_words.zh-CN bans (1)" in counted and "shipping" in counted
    no_market = {"en": "none", "zh-CN": "none"}
    assert admitted_texts(TABLES, Standards(markets=no_market))[1] == ()
    (banned, counted) = admitted_texts(TABLES, Standards())[1]
    assert "which the market cn bans (Advertising Law of China, art. 9)" in banned and counted.startswith("pool: ")


def test_a_rule_takes_one_line(photos, standards, monkeypatch):
    """The rule of a user: no coats among discs, whoever wrote it; by texts, campaign and category."""

    def reasons(candidates, _standards):
        words = candidates.words
        refused = (words["category"] == "disc") & words["headline"].str.contains("coats", na=False)
        return np.where(refused, "coats are no discs", "").astype(object)

    rules = (*ADMISSION_RULES, AdmissionRule("coats", "texts", reasons))
    monkeypatch.setattr(admission, "ADMISSION_RULES", rules)
    plain = dataclasses.replace(standards, banned_words={})
    written, remarks = admitted_texts(TABLES, plain)
    assert remarks[0] == "headline 'Warm coats' is in no new ad: coats are no discs"
    assert "Warm coats" not in {text for _, text in said_in(photos, written, plain)}
    # as a candidate, too: what people wrote of another category may be drawn for this one
    elsewhere = {**TABLES, "creatives": TABLES["creatives"].assign(headline="Warm coats", product_id=["p1", "p2"] * 2)}
    pool = fill_pool(elsewhere, [generated_ads(elsewhere, [Sketcher(photos)], 2, seed=0)], plain, brightness, 2)
    assert pool.refused["coats are no discs"] > 0
    assert f"coats are no discs ({pool.refused['coats are no discs']})" in pool.remarks()[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("ads.banned_words={en: ['']}", "ads.banned_words: en: an empty word would ban every text"),
        ("ads.sizes=[]", "ads.sizes: write at least one"),
        ("ads.sizes=[300x250, 300x250]", "ads.sizes: write at least one, and each once"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(override, words):
    with pytest.raises(UserError, match="--set") as told:
        load_settings("params.yaml", "shop", (override,))
    assert words in str(told.value)
    banned = load_settings("params.yaml", "shop", ("ads.banned_words={en: [miracle]}",)).of_stage("creatives").ads
    assert banned == AdsConfig(banned_words={"en": ("miracle",)})
