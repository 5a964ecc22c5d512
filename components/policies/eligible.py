"""The pairs (impression, eligible creative) of the data contract.

An impression's eligible creatives are its rows in `candidates`; without that table, the creatives of its campaign that
are active at its timestamp, both ends included, as in expectations/impressions.json.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.settings.errors import UserError


def eligible_pairs(tables: dict[str, pd.DataFrame], impressions: pd.DataFrame) -> pd.DataFrame:
    """The pairs of some impressions, in the impressions' order, by the tables of the contract.

    impressions: columns impression_id, campaign, timestamp (and creative_id, which must be among the eligible).
    Returns impression_id, creative_id and, where `candidates` has it, propensity: the logging probability of the pair.
    """
    blocks = [pairs for _, pairs in eligible_blocks(tables, impressions, max(len(impressions), 1))]
    return blocks[0]


def eligible_blocks(
    tables: dict[str, pd.DataFrame], impressions: pd.DataFrame, size: int
) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """`eligible_pairs` of `size` impressions at a time: of each pair its row in `impressions`, int64, and the pairs.

    Without impressions there is one block without pairs.
    """
    candidates = tables.get("candidates")
    listed = None if candidates is None else _Listed.of(candidates, impressions)
    for start in range(0, max(len(impressions), 1), size):
        block = impressions.iloc[start : start + size]
        if listed is None:
            row, pairs = _from_campaigns(tables["creatives"], block)
        else:
            row, pairs = listed.pairs(start, start + len(block))
        orphans = np.bincount(row, minlength=len(block)) == 0
        if orphans.any():
            example = block.loc[orphans, "impression_id"].head(3).tolist()
            raise UserError(f"impressions: {int(orphans.sum())} rows have no eligible creative, such as {example}")
        yield start + row, pairs


def pair_offsets(pairs: pd.DataFrame, impressions: pd.DataFrame) -> np.ndarray:
    """int64 [n_impressions + 1]: the pairs of impression i are offsets[i]:offsets[i + 1]."""
    row = rows_of(pairs["impression_id"], impressions["impression_id"])
    if len(row) and ((row < 0).any() or (np.diff(row) < 0).any()):
        raise ValueError("pairs must be grouped by impression, in the order of the impressions")
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(impressions)))]).astype(np.int64)


def rows_of(values: pd.Series, keys: pd.Series) -> np.ndarray:
    """Row of each value in `keys`, int64; -1 if absent. Arrow hashes strings ten times as fast as a pandas Index."""
    row = pc.index_in(pa.array(values, pa.large_string()), value_set=pa.array(keys, pa.large_string()))
    return row.fill_null(-1).to_numpy().astype(np.int64)


def logged_columns(logged: pd.DataFrame, names: Iterable[str], impression_id: pd.Series) -> pd.DataFrame:
    """The columns `names` that the contract's impressions `logged` have, of given impressions [n]; null if unknown."""
    row = rows_of(impression_id, logged["impression_id"])
    return pd.DataFrame({name: logged[name].array.take(row, allow_fill=True) for name in names if name in logged})


@dataclass(frozen=True)
class _Listed:
    """The rows of `candidates` that belong to given impressions, grouped by impression in their order.

    place: int64 [n_pairs], rows of `candidates`; row: int64 [n_pairs], ascending, of the impressions.
    """

    candidates: pd.DataFrame
    place: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, candidates: pd.DataFrame, impressions: pd.DataFrame) -> "_Listed":
        row = rows_of(candidates["impression_id"], impressions["impression_id"])
        place = np.flatnonzero(row >= 0)
        row = row[place]
        if (row[1:] < row[:-1]).any():
            order = np.argsort(row, kind="stable")
            place, row = place[order], row[order]
        columns = [name for name in ("impression_id", "creative_id", "propensity") if name in candidates]
        return cls(candidates[columns], place, row)

    def pairs(self, start: int, stop: int) -> tuple[np.ndarray, pd.DataFrame]:
        """The pairs of the impressions start:stop, each one's row counted from `start`."""
        chosen = slice(*np.searchsorted(self.row, (start, stop)).tolist())
        return self.row[chosen] - start, self.candidates.iloc[self.place[chosen]].reset_index(drop=True)


def _from_campaigns(creatives: pd.DataFrame, impressions: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Builds only pairs of active creatives: all pairs of a campaign might not fit in memory."""
    codes, campaigns = pd.factorize(impressions["campaign"])
    campaign_of_creative = rows_of(creatives["campaign"], pd.Series(campaigns, dtype=creatives["campaign"].dtype))
    when, unknown = _moments(impressions["timestamp"])
    order = np.lexsort((when, unknown, codes))  # within a campaign by time, those without a time last
    row_starts = np.searchsorted(codes[order], np.arange(len(campaigns) + 1))
    creatives_by_campaign = np.argsort(campaign_of_creative, kind="stable")
    creative_starts = np.searchsorted(campaign_of_creative[creatives_by_campaign], np.arange(len(campaigns) + 1))
    pair_rows, pair_creatives = [], []
    for code in range(len(campaigns)):
        rows_of_campaign = order[row_starts[code] : row_starts[code + 1]]
        creatives_of_campaign = creatives_by_campaign[creative_starts[code] : creative_starts[code + 1]]
        first, last = _active(
            creatives.iloc[creatives_of_campaign], when[rows_of_campaign], int((~unknown[rows_of_campaign]).sum())
        )
        count = np.maximum(last - first, 0)
        place_in_run = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        pair_rows.append(rows_of_campaign[np.repeat(first, count) + place_in_run])
        pair_creatives.append(np.repeat(creatives_of_campaign, count))
    row, creative = (np.concatenate([np.empty(0, np.int64), *parts]) for parts in (pair_rows, pair_creatives))
    order = np.lexsort((creative, row))
    pairs = {
        "impression_id": impressions["impression_id"].iloc[row[order]].array,
        "creative_id": creatives["creative_id"].iloc[creative[order]].array,
    }
    return row[order], pd.DataFrame(pairs)


def _active(creatives: pd.DataFrame, when: np.ndarray, timed: int) -> tuple[np.ndarray, np.ndarray]:
    """first, last: int64 [n_creatives]; each creative is active at the impressions first:last.

    when: ascending times of the impressions, of which the first `timed` are not null.
    """
    first = np.zeros(len(creatives), dtype=np.int64)
    last = np.full(len(creatives), len(when), dtype=np.int64)
    for name, edge, side in (("active_from", first, "left"), ("active_until", last, "right")):
        if name in creatives:
            limit, always = _moments(creatives[name])
            edge[~always] = np.searchsorted(when[:timed], limit[~always], side=side)
            last[~always] = np.minimum(last[~always], timed)
    return first, last


def _moments(times: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970, int64 [n], and whether each time is null, bool [n]."""
    return pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64").to_numpy(), times.isna().to_numpy()
