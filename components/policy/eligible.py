"""Who could have been shown: the pairs (impression, eligible creative) of the data contract.

Eligible are an impression's rows in `candidates`; where that table is absent, the creatives of its campaign that are
active at its timestamp, the first and the last moment included, as expectations/impressions.json has it.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.errors import UserError


def eligible_pairs(tables: dict[str, pd.DataFrame], impressions: pd.DataFrame) -> pd.DataFrame:
    """Tables of the contract and some impressions -> their pairs, in the impressions' order.

    impressions: columns impression_id, campaign, timestamp (and creative_id, which must be among the eligible).
    Returns impression_id, creative_id and, where `candidates` exists, propensity: the logging probability of the pair.
    """
    if "candidates" in tables:
        pairs = _from_candidates(tables["candidates"], impressions)
    else:
        pairs = _from_campaigns(tables["creatives"], impressions)
    owned = np.bincount(rows_of(pairs["impression_id"], impressions["impression_id"]), minlength=len(impressions))
    orphans = owned == 0
    if orphans.any():
        example = impressions.loc[orphans, "impression_id"].head(3).tolist()
        raise UserError(f"impressions: {int(orphans.sum())} rows have no eligible creative, such as {example}")
    return pairs


def pair_offsets(pairs: pd.DataFrame, impressions: pd.DataFrame) -> np.ndarray:
    """int64 [n_impressions + 1]: the pairs of impression i are offsets[i]:offsets[i + 1]."""
    row = rows_of(pairs["impression_id"], impressions["impression_id"])
    if len(row) and ((row < 0).any() or (np.diff(row) < 0).any()):
        raise ValueError("pairs must be grouped by impression, in the order of the impressions")
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(impressions)))]).astype(np.int64)


def rows_of(values: pd.Series, keys: pd.Series) -> np.ndarray:
    """Row of each value in `keys`, -1 where it is not: int64. Arrow hashes strings ten times as fast as an Index."""
    found = pc.index_in(pa.array(values, pa.large_string()), value_set=pa.array(keys, pa.large_string()))
    return found.fill_null(-1).to_numpy().astype(np.int64)


def _from_candidates(candidates: pd.DataFrame, impressions: pd.DataFrame) -> pd.DataFrame:
    row = rows_of(candidates["impression_id"], impressions["impression_id"])
    kept = candidates.loc[row >= 0, ["impression_id", "creative_id", "propensity"]]
    order = np.argsort(row[row >= 0], kind="stable")
    return kept.iloc[order].reset_index(drop=True)


def _from_campaigns(creatives: pd.DataFrame, impressions: pd.DataFrame) -> pd.DataFrame:
    wanted = [name for name in ("active_from", "active_until") if name in creatives]
    keyed = impressions[["impression_id", "campaign", "timestamp"]].assign(row=np.arange(len(impressions)))
    pairs = keyed.merge(creatives[["creative_id", "campaign", *wanted]], on="campaign", how="inner")
    active = np.ones(len(pairs), dtype=bool)
    if "active_from" in wanted:
        active &= (pairs["active_from"].isna() | (pairs["active_from"] <= pairs["timestamp"])).to_numpy()
    if "active_until" in wanted:
        active &= (pairs["active_until"].isna() | (pairs["timestamp"] <= pairs["active_until"])).to_numpy()
    kept = pairs.loc[active].sort_values("row", kind="stable")
    return kept[["impression_id", "creative_id"]].reset_index(drop=True)
