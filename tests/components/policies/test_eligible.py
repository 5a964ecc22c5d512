"""Eligible pairs by active time against the naive twin, which makes every pair of a campaign and then filters."""

import numpy as np
import pandas as pd
import pytest

from components.policies import eligible_pairs
from components.policies.eligible import eligible_blocks, logged_columns
from components.settings.errors import UserError

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


def with_candidates(impressions: pd.DataFrame, creatives: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """The eligible pairs as `candidates` in no order, with those of impressions that are not asked for."""
    pairs = eligible_pairs({"creatives": creatives}, impressions)
    others = pairs.head(20).assign(impression_id=[f"other{number}" for number in range(20)])
    listed = pd.concat([pairs, others]).sample(frac=1, random_state=seed).reset_index(drop=True)
    return {"creatives": creatives, "candidates": listed.assign(propensity=np.arange(len(listed)) / len(listed))}


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("size", [1, 64, 500, 501])
def test_blocks_of_impressions_have_the_pairs_of_all_together(size, listed):
    impressions, creatives = shop(3)
    tables = with_candidates(impressions, creatives, 3) if listed else {"creatives": creatives}
    blocks = list(eligible_blocks(tables, impressions, size))
    assert len(blocks) == -(-len(impressions) // size)
    assert max(pairs["impression_id"].nunique() for _, pairs in blocks) <= size
    whole = eligible_pairs(tables, impressions)
    pd.testing.assert_frame_equal(pd.concat([pairs for _, pairs in blocks], ignore_index=True), whole)
    row = np.concatenate([row for row, _ in blocks])
    assert impressions["impression_id"].iloc[row].tolist() == whole["impression_id"].tolist()


def test_columns_of_the_log_are_those_of_each_impression_or_null():
    logged, _ = shop(5)
    logged = logged.assign(reward=np.arange(len(logged)) / 2, placement=pd.Series(["home"] * len(logged), dtype="str"))
    asked = pd.Series([logged["impression_id"].iloc[row] for row in (7, 0, 7)])
    found = logged_columns(logged, ("reward", "revenue", "placement"), asked)
    assert found.to_dict("list") == {"reward": [3.5, 0.0, 3.5], "placement": ["home"] * 3}
    unknown = logged_columns(logged, ("reward", "placement"), pd.Series(["nobody", asked[0]]))
    assert unknown.isna().to_numpy().tolist() == [[True, True], [False, False]]


def test_an_impression_without_a_creative_is_named_in_whatever_block():
    impressions, creatives = shop(4)
    tables = with_candidates(impressions, creatives, 4)
    orphan = impressions["impression_id"].iloc[-1]
    tables["candidates"] = tables["candidates"][tables["candidates"]["impression_id"] != orphan]
    with pytest.raises(UserError, match=f"1 rows have no eligible creative, such as .*{orphan}'"):
        list(eligible_blocks(tables, impressions, 64))


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
