"""The slow and obvious way to compute shopper columns: one impression at a time, one filter per question."""

import math

import pandas as pd

DAY = pd.Timedelta(days=1)


def past_of(rows: pd.DataFrame, shopper_id: str, moment: pd.Timestamp) -> pd.DataFrame:
    return rows[(rows["shopper_id"] == shopper_id) & (rows["timestamp"] < moment)]


def activity(events: pd.DataFrame, shopper_id: str, moment: pd.Timestamp, kind: str, days: int) -> dict[str, float]:
    past = past_of(events[events["kind"] == kind], shopper_id, moment)
    recent = past[past["timestamp"] >= moment - days * DAY]
    recency = min((moment - past["timestamp"].max()) / DAY, 28) if len(past) else 28
    found = {f"shopper_recency:{kind}": recency, f"shopper_count:{kind}_{days}d": len(recent)}
    if kind == "purchase":
        found[f"shopper_value:{kind}_{days}d"] = recent["value"].fillna(0).sum()
    return found


def exposure(impressions: pd.DataFrame, shopper_id: str, campaign: str, moment: pd.Timestamp) -> dict[str, float]:
    past = past_of(impressions, shopper_id, moment)
    week = past[past["timestamp"] >= moment - 7 * DAY]
    own = past[past["campaign"] == campaign]
    return {
        "shopper_shown:7d": len(week),
        "shopper_clicked:7d": week["click"].sum(),
        "shopper_shown:ever": len(past),
        "shopper_clicked:ever": past["click"].sum(),
        "shopper_campaign_shown:1d": (own["timestamp"] >= moment - DAY).sum(),
        "shopper_campaign_shown:ever": len(own),
        "shopper_campaign_clicked:ever": own["click"].sum(),
    }


def category_tastes(
    events: pd.DataFrame, products: pd.DataFrame, shopper_id: str, moment: pd.Timestamp, taste, languages: pd.Series
) -> dict[str, float]:
    """languages: by product id, the row of taste.share; the root of N - E exp(u) - u / v by halving an interval."""
    touched = past_of(events, shopper_id, moment).dropna(subset=["product_id"])["product_id"]
    counts = products.set_index("product_id").loc[touched, "category"].value_counts()
    found = {}
    for number, column in enumerate(taste.columns):
        seen = counts.get(column.removeprefix("category:"), 0) / taste.repeats
        expected = sum(taste.share[languages[product], number] for product in touched) / taste.repeats
        low, high = -50.0, 50.0
        for _ in range(60):
            middle = (low + high) / 2
            above = seen - expected * math.exp(middle) - middle / taste.variance < 0
            low, high = (low, middle) if above else (middle, high)
        found[f"shopper_{column}"] = low
    return found
