"""The rules of a market: which one a campaign has, what it bans, and the marks that its ads must show."""

import pytest

from components.ads.markets.market_rules import MARKS, check_markets, market_ban, market_of, markets, marks_of
from components.ads.rendering.text_fitting import undrawable
from components.settings.errors import UserError


@pytest.mark.parametrize(
    ("locale", "market"),
    [
        *(("zh-CN", "cn"), ("zh", "cn"), ("zh_CN", "cn"), ("zh-TW", None), ("zh-HK", None)),
        *(("en", "us"), ("en-US", "us"), ("en-IE", "eu"), ("en-GB", None)),
        *(("de", "eu"), ("de-CH", None), ("fr-CA", None), ("el", "eu"), ("pt-PT", "eu"), ("no", "eu")),
        *(("no such locale", None), ("", None), (None, None)),
    ],
)
def test_a_market_follows_from_the_locale(locale, market):
    assert market_of("a", locale, {}) == market


def test_a_setting_overrides_the_locale_and_a_campaign_overrides_both():
    chosen = {"en": "eu", "a": "cn", "b": "none"}
    assert [market_of(campaign, "en", chosen) for campaign in "abc"] == ["cn", None, "eu"]
    check_markets(chosen)
    with pytest.raises(UserError, match=r"ads\.markets\.en: no market is called 'uk'; there are cn, eu, us, none"):
        check_markets({"en": "uk"})


def test_marks_are_those_of_the_market_and_the_generated_image():
    assert marks_of("cn", "zh-CN", generated=False) == ("广告",)
    assert marks_of("cn", "en", generated=True) == ("广告", "AI生成")  # in Chinese, whatever the locale is
    assert [marks_of(market, "de-DE", generated=False) for market in ("eu", "us", None)] == [(), (), ()]
    assert marks_of("eu", "de-DE", generated=True) == ("KI-generiertes Bild",)
    assert marks_of(None, "xx", generated=True) == ("AI generated image",)
    assert not [text for texts in MARKS.values() for text in texts.values() if undrawable(text)]


def test_every_banned_word_is_found_in_its_market_alone_and_names_its_source():
    for name, rules in markets().items():
        for group in rules.banned:
            for word in group.words:
                reason = market_ban(f"{word}", name)
                assert reason is not None and f"which the market {name} bans (" in reason, word
    assert (
        market_ban("国家级品质", "cn")
        == "has the word '国家级', which the market cn bans (Advertising Law of China, art. 9)"
    )
    assert market_ban("国家级品质", "eu") is None is market_ban("国家级品质", None)
    assert market_ban("Warm coats for cold days", "us") is None


@pytest.mark.parametrize(
    ("text", "market"),
    [
        *(
            ("cl\u0456ck here", "us"),
            ("ｃｌｉｃｋ　ｈｅｒｅ", "us"),
            ("c l i c k  h e r e", "us"),
            ("CL1CK HERE", "us"),
        ),
        *(("cli\u200bck he\u00adre", "us"), ("𝐜𝐥𝐢𝐜𝐤 here", "us"), ("c.l.i.c.k here", "us"), ("ᴄʟɪᴄᴋ here", "us")),
        *(("最 佳", "cn"), ("最隹", "cn"), ("最\u200b佳", "cn"), ("國家級", "cn"), ("笫一", "cn"), ("最-佳", "cn")),
    ],
)
def test_look_alikes_of_banned_words_are_found(text, market):
    assert market_ban(text, market) is not None


@pytest.mark.parametrize(
    "text",
    ["Warm coats", "Click the button here", "A chic look", "Clicks there", "Modern, cosy, yours", "T-shirt, A/B"],
)
def test_other_words_are_not_taken_for_banned_ones(text):
    assert [market_ban(text, name) for name in ("us", "eu", "cn")] == [None] * 3
