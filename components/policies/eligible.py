"""Who could have been shown: the pairs (impression, eligible creative) of the data contract.

Eligible are an impression's rows in `candidates`; where that table is absent, the creatives of its campaign that are
active at its timestamp, the first and the last moment included, as expectations/impressions.json has it.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.settings.errors import UserError


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
    """The pairs of active creatives, and no others: a campaign's whole product with its impressions may not fit."""
    codes, campaigns = pd.factorize(impressions["campaign"])
    owner = rows_of(creatives["campaign"], pd.Series(campaigns, dtype=creatives["campaign"].dtype))
    when, unknown = _moments(impressions["timestamp"])
    order = np.lexsort((when, unknown, codes))  # within a campaign by time, those without a time last
    begins = np.searchsorted(codes[order], np.arange(len(campaigns) + 1))
    offered = np.argsort(owner, kind="stable")
    offers = np.searchsorted(owner[offered], np.arange(len(campaigns) + 1))
    rows, shown = [], []
    for code in range(len(campaigns)):
        own = order[begins[code] : begins[code + 1]]
        which = offered[offers[code] : offers[code + 1]]
        first, last = _active(creatives.iloc[which], when[own], int((~unknown[own]).sum()))
        count = np.maximum(last - first, 0)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        rows.append(own[np.repeat(first, count) + within])
        shown.append(np.repeat(which, count))
    row, creative = (np.concatenate([np.empty(0, np.int64), *parts]) for parts in (rows, shown))
    order = np.lexsort((creative, row))
    pairs = {
        "impression_id": impressions["impression_id"].iloc[row[order]].array,
        "creative_id": creatives["creative_id"].iloc[creative[order]].array,
    }
    return pd.DataFrame(pairs)


def _active(creatives: pd.DataFrame, when: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray]:
    """Of impressions at the ascending times `when`, the first `known` of them known: which each creative is active at.

    int64 [n_creatives] each: those in first:last.
    """
    first = np.zeros(len(creatives), dtype=np.int64)
    last = np.full(len(creatives), len(when), dtype=np.int64)
    for name, edge, side in (("active_from", first, "left"), ("active_until", last, "right")):
        if name in creatives:
            limit, always = _moments(creatives[name])
            edge[~always] = np.searchsorted(when[:known], limit[~always], side=side)
            last[~always] = np.minimum(last[~always], known)
    return first, last


def _moments(times: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds int64 [n], and bool [n]: where there is none."""
    return pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64").to_numpy(), times.isna().to_numpy()
