"""The readings of benchmarks.admission that judge the rules: by hand, and independent of the rules' own code."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from benchmarks import admission, admission_defects, admission_texts
from benchmarks.admission import ungrounded, written_lines
from benchmarks.admission_texts import BANNED, DISGUISES
from components.ads.copy.product_facts import ProductFacts
from components.ads.pools.product_ads import _is_blank


@pytest.mark.parametrize(
    ("line", "facts", "wrong"),
    [
        ("Coat: €80.00, 20% off", ProductFacts(price=80.0, list_price=100.0), False),
        ("Coat: €80.00, 21% off", ProductFacts(price=80.0, list_price=100.0), True),
        ("€79.99: Coat", ProductFacts(price=80.0), True),
        ("Coat, €80.00", ProductFacts(), True),
        ("Only 3 left: Coat", ProductFacts(stock=3.0), False),
        ("仅剩11件：外套", ProductFacts(stock=11.0), True),
        ("Coat, rated 4.5 stars", ProductFacts(rating=4.5), False),
        ("外套，评分4.4", ProductFacts(rating=4.4), True),
        ("热销：外套", ProductFacts(), True),
        ("New: Coat", ProductFacts(new=True), False),
        ("Meet the Best Price Camera", ProductFacts(bestseller=True), True),
        ("认识一下：最佳手机", ProductFacts(), True),
    ],
)
def test_a_claim_is_read_from_the_facts(line, facts, wrong):
    assert ungrounded(line, facts) == wrong


def test_written_lines_with_traps_claim_nothing_ungrounded():
    lines = list(written_lines(300, 999))
    assert len(lines) == 300 and not [line for line, facts in lines if ungrounded(line, facts)]
    assert any("%" in line for line, _ in lines) and any("评分" in line for line, _ in lines)


def test_the_defects_are_made_without_the_rules_lists():
    """No list of words or characters of the rules is imported."""
    source = "".join(inspect.getsource(module) for module in (admission, admission_defects, admission_texts))
    for module in ("look_alikes", "copy.claims", "banned_words", "market_rules"):
        assert f"components.ads.{module}" not in source and f"{module} import" not in source
    assert Path(admission_texts.__file__).exists()


def test_disguises_change_some_word_each():
    for locale, disguises in DISGUISES.items():
        assert all(any(disguise(word) != word for word in BANNED[locale]) for disguise in disguises)


def test_a_blank_photo_is_told_from_a_plain_product():
    even = np.full((300, 200, 3), 240, np.uint8)
    ramp = np.broadcast_to(np.linspace(250, 150, 300)[:, None, None], (300, 200, 3)).astype(np.uint8)
    noisy = np.clip(even + np.random.default_rng(0).normal(0, 3, even.shape), 0, 255).astype(np.uint8)
    assert _is_blank(even) and _is_blank(ramp) and _is_blank(noisy) and _is_blank(even[..., :1])
    cup = even.copy()
    cup[120:180, 80:120] = 225  # a white cup on a white ground
    assert not _is_blank(cup)
