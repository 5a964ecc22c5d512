import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.features.categoricals import Levels, PriceBands
from components.features.products.copy_appeals import APPEALS, appeals_of
from components.features.products.product_attributes import LogPrice, ProductAttributes, writing_system


def appeals(text) -> set[str]:
    return {name for name, makes in zip(APPEALS, appeals_of([text])[0], strict=True) if makes}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Save 20% on all boots", {"price"}),
        ("Now from €19", {"price"}),
        ("Hurry: only 3 left", {"urgency"}),
        ("Don\u2019t miss our winter sale", {"urgency", "price"}),
        ("4.8 stars from 2,000 customers", {"social_proof"}),
        ("This season's bestseller", {"social_proof"}),
        ("You won't believe what happened to this sofa", {"curiosity"}),
        ("Just landed: the spring collection", {"novelty"}),
        ("Breathable linen, smooth on the skin", {"benefit"}),
        ("Need a gift?", {"question"}),
        ("Is this the best price?", {"question", "price"}),
        ("全场八折,满减优惠", {"price"}),
        ("限时抢购,仅剩最后三小时", {"urgency"}),
        ("爆款推荐,百万人好评", {"social_proof"}),
        ("居然可以这样穿", {"curiosity"}),
        ("春季新品首发", {"novelty"}),
        ("亲肤透气,保暖百搭", {"benefit"}),
        ("今天穿什么？", {"question"}),
        ("A house of wood", set()),
        ("Offer your salesman newspapers", set()),  # no whole word of off, sales or new
        ("Nové boty", set()),  # no Czech words
        ("", set()),
        (None, set()),
        (np.nan, set()),
    ],
)
def test_appeals_of_lines_known_by_hand(text, expected):
    assert appeals(text) == expected


@given(st.lists(st.one_of(st.none(), st.text(max_size=60)), max_size=5))
def test_any_text_has_appeals_of_zero_or_one_whatever_its_case_and_width(texts):
    found = appeals_of(texts)
    assert found.shape == (len(texts), len(APPEALS)) and np.isin(found, (0.0, 1.0)).all()


@pytest.mark.parametrize(
    ("title", "system"),
    [
        ("Alder coat", "LATIN"),
        ("Alder 经典大衣", "CJK"),
        ("スニーカー", "CJK"),
        ("Пальто Alder", "CYRILLIC"),
        ("حقيبة", "ARABIC"),
        ("Kabát z Čech", "LATIN"),
        ("42", ""),
        (None, ""),
        (np.nan, ""),
    ],
)
def test_writing_system_of_titles_known_by_hand(title, system):
    assert writing_system(title) == system


def attributes(products: pd.DataFrame, writing: tuple[str, ...]) -> ProductAttributes:
    bands = PriceBands.fit(products["price"])
    levels = Levels.fit("category", products["category"])
    return ProductAttributes(levels, Levels("brand", ()), bands, Levels("price", ()), None, None, None, writing)


def test_products_compete_within_category_and_language():
    products = pd.DataFrame(
        {
            "category": pd.Series(["bag", "bag", "coat", "bag", None, "hat"], dtype="str"),
            "title": ["Bag", "手提包", "Coat", "Tote", "Thing", "Hat"],
            "price": 1.0,
        }
    )
    fitted = attributes(products.head(5), ("CJK", "LATIN"))
    market = fitted.markets_of(products)
    assert len(set(market.code[[0, 1, 2, 4]])) == 4 and market.code[0] == market.code[3]
    assert market.code.max() < market.count == 3 * 3
    assert market.code[4] == market.code[5], "a category that was not there counts as unknown"
    new_language = fitted.languages_of(products.assign(title="Пальто"))
    assert set(new_language.code) == {2} and new_language.count == 3
    assert set(attributes(products, ()).languages_of(products).code) == {0}, "release 0.1 knew no languages"


def test_log_price_is_standardised_and_unknown_without_a_price():
    prices = pd.Series([1.0, np.e, np.e**2, 0.0, np.nan])
    log_price = LogPrice.fit(prices)
    found = log_price.of(prices)
    deviation = np.sqrt(2 / 3)
    assert found.vectors.ravel() == pytest.approx([-1 / deviation, 0.0, 1 / deviation, 0.0, 0.0])
    assert found.known.tolist() == [True, True, True, False, False]
    assert LogPrice.fit(pd.Series([5.0, 5.0, np.nan])) is None
    assert LogPrice.fit(pd.Series(dtype="float64")) is None
