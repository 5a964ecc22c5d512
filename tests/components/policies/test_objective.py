"""What a policy maximises: values of creatives by hand, and what impressions earned."""

import numpy as np
import pandas as pd
import pytest

from components.policies.objective import PRIOR_CLICKS, CreativeValues, creative_values
from components.settings.errors import UserError

CREATIVES = pd.DataFrame(
    {
        "creative_id": ["a", "b", "c"],
        "campaign": ["spring", "spring", "autumn"],
        "product_id": ["shoe", "bag", None],
        "template": ["plain", "plain", "plain"],
        "headline": ["You will not believe this", "New shoes", None],
    }
)
TABLES = {
    "campaigns": pd.DataFrame({"campaign": ["spring", "autumn"], "objective": ["revenue", "click"]}),
    "products": pd.DataFrame({"product_id": ["shoe", "bag"], "category": ["shoes", "bags"], "price": [80.0, 20.0]}),
}


def clicks(counts: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """Creative -> (clicks, conversions), and one click whose conversion is pending."""
    rows = [
        {"creative_id": name, "conversion": float(number < bought)}
        for name, (clicked, bought) in counts.items()
        for number in range(clicked)
    ]
    return pd.DataFrame([*rows, {"creative_id": "a", "conversion": None}])


def values(objective: str, counts: dict[str, tuple[int, int]], tables=TABLES, creatives=CREATIVES) -> list[float]:
    return creative_values(objective, clicks(counts), tables, creatives).rows["value"].tolist()


def test_every_click_is_worth_the_same_for_the_objective_click():
    assert values("click", {}) == [1.0, 1.0, 1.0]


def test_conversions_per_click_by_hand():
    """Headline of a: 2 of 300; that of b: 30 of 200; no category or template tells them apart."""
    alike = {**TABLES, "products": TABLES["products"].assign(category="all")}
    rate = 32.5 / 501
    a, b = ((bought + PRIOR_CLICKS * rate) / (clicked + PRIOR_CLICKS) for clicked, bought in ((300, 2), (200, 30)))
    both = (32 + PRIOR_CLICKS * rate) / (500 + PRIOR_CLICKS) / rate  # of the template and the category that all have
    got = values("conversion", {"a": (300, 2), "b": (200, 30)}, alike)
    assert got == pytest.approx([a * both**2, b * both**2, rate * both])


def test_revenue_multiplies_by_the_price_and_takes_the_median_where_there_is_none():
    conversion = values("conversion", {"a": (300, 20), "b": (200, 30)})
    revenue = values("revenue", {"a": (300, 20), "b": (200, 30)})
    assert np.divide(revenue, conversion) == pytest.approx([80.0, 20.0, 50.0])


def test_each_campaign_may_have_its_own_objective():
    counts = {"a": (300, 20), "b": (200, 30)}
    of_campaign, revenue = values("campaign", counts), values("revenue", counts)
    assert of_campaign == pytest.approx([*revenue[:2], 1.0])


def test_values_are_relative_to_the_best_of_the_campaign():
    made = creative_values("revenue", clicks({"a": (300, 20), "b": (200, 30)}), TABLES, CREATIVES)
    relative = made.relative(CREATIVES["campaign"])
    first, second = made.rows["value"].iloc[:2]
    assert relative.to_dict() == pytest.approx({"a": 1.0, "b": second / first, "c": 1.0})


def test_what_impressions_earned():
    rows = [("a", "revenue"), ("b", "conversion"), ("c", "click")]
    made = CreativeValues(
        pd.DataFrame([(*row, 1.0, 1.0) for row in rows], columns=["creative_id", "objective", "value", "size"])
    )
    impressions = pd.DataFrame(
        {
            "creative_id": ["a", "a", "a", "b", "b", "c"],
            "click": [1, 0, 1, 1, 1, 1],
            "conversion": pd.array([1, 0, None, 1, None, None], "Int64"),
            "revenue": [80.0, np.nan, np.nan, 20.0, np.nan, np.nan],
        }
    )
    np.testing.assert_array_equal(made.earned(impressions), [80.0, 0.0, np.nan, 1.0, np.nan, 1.0])
    with pytest.raises(ValueError, match="creative z has no value"):
        made.of("value", pd.Series(["a", "z"]))


def test_an_objective_without_its_column_is_named():
    with pytest.raises(UserError, match=r"evaluation\.policy\.objective conversion needs the column conversion"):
        creative_values("conversion", pd.DataFrame({"creative_id": ["a"]}), TABLES, CREATIVES)
    with pytest.raises(UserError, match=r"objective campaign needs the column conversion"):
        creative_values("campaign", pd.DataFrame({"creative_id": ["a"]}), TABLES, CREATIVES)
    free = {**TABLES, "products": TABLES["products"].drop(columns="price")}
    with pytest.raises(UserError, match=r"objective revenue needs the column price of products"):
        creative_values("revenue", clicks({"a": (3, 1)}), free, CREATIVES)
