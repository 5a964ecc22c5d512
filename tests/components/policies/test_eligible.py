"""Eligible pairs by active time against the naive twin, which makes every pair of a campaign and then filters."""

import numpy as np
import pandas as pd
import pytest

from components.policies import eligible_pairs

START = pd.Timestamp("2026-03-01", tz="UTC")


def naive(creatives: pd.DataFrame, impressions: pd.DataFrame) -> pd.DataFrame:
    """All pairs of each campaign, then those whose creative is active."""
    keyed = impressions[["impression_id", "campaign", "timestamp"]].assign(row=np.arange(len(impressions)))
    pairs = keyed.merge(creatives, on="campaign", how="inner")
    active = pairs["active_from"].isna() | (pairs["active_from"] <= pairs["timestamp"])
    active &= pairs["active_until"].isna() | (pairs["timestamp"] <= pairs["active_until"])
    return pairs.loc[active].sort_values("row", kind="stable")[["impression_id", "creative_id"]].reset_index(drop=True)


def shop(seed: int, n: int = 500, creatives: int = 40, campaigns: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Impressions in no order, of which some share a moment, and creatives active for a while, for ever or never."""
    generator = np.random.default_rng(seed)

    def times(size: int, missing: float) -> pd.Series:
        hours = pd.Series(START + pd.to_timedelta(generator.integers(0, 60, size), unit="h")).dt.as_unit("us")
        return hours.mask(generator.random(size) < missing)

    impressions = pd.DataFrame(
        {
            "impression_id": [f"i{number}" for number in generator.permutation(n)],
            "campaign": [f"c{number}" for number in generator.integers(0, campaigns, n)],
            "timestamp": times(n, 0.02),
        }
    )
    offered = pd.DataFrame(
        {
            "creative_id": [f"a{number}" for number in generator.permutation(creatives)],
            "campaign": [f"c{number}" for number in generator.integers(0, campaigns + 1, creatives)],
            "active_from": times(creatives, 0.4),
            "active_until": times(creatives, 0.4),
        }
    )
    always = pd.DataFrame(
        {
            "creative_id": [f"z{each}" for each in range(campaigns)],
            "campaign": [f"c{each}" for each in range(campaigns)],
        }
    )
    return impressions, pd.concat([offered, always], ignore_index=True)


@pytest.mark.parametrize("seed", range(8))
def test_the_pairs_are_those_of_the_naive_twin_in_the_same_order(seed):
    impressions, creatives = shop(seed)
    pd.testing.assert_frame_equal(eligible_pairs({"creatives": creatives}, impressions), naive(creatives, impressions))


def test_creatives_without_any_limits_are_always_active():
    impressions, creatives = shop(1)
    unlimited = creatives[["creative_id", "campaign"]]
    pairs = eligible_pairs({"creatives": unlimited}, impressions)
    assert len(pairs) == impressions["campaign"].map(unlimited["campaign"].value_counts()).sum()


def test_memory_grows_with_the_active_pairs_and_not_with_all_of_them():
    """A thousand creatives, one active at a time: a thousand times as many pairs come from the whole product."""
    import tracemalloc

    days = 1_000
    begins = START + pd.to_timedelta(np.arange(days), unit="D")
    creatives = pd.DataFrame(
        {
            "creative_id": [f"a{day}" for day in range(days)],
            "campaign": "c",
            "active_from": begins,
            "active_until": begins + pd.Timedelta(hours=23),
        }
    )
    impressions = pd.DataFrame(
        {
            "impression_id": [f"i{number}" for number in range(4 * days)],
            "campaign": "c",
            "timestamp": begins.repeat(4) + pd.to_timedelta(np.tile(np.arange(4), days), unit="h"),
        }
    )
    tracemalloc.start()
    pairs = eligible_pairs({"creatives": creatives}, impressions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs["creative_id"].tolist() == [f"a{number // 4}" for number in range(4 * days)]
    assert peak < 20e6, f"{peak / 1e6:.0f} MB"
