"""A policy's probabilities -> the table that an ad server looks up: segment x placement x campaign -> creative.

A cell's probability is the mean over the cell's logged impressions of what the policy gave each creative there: the
very policy that was evaluated, averaged over the contexts and shortlists it met. Newly generated creatives, of which no
log speaks yet, share the exploration evenly, so that tomorrow's log does.
"""

import numpy as np
import pandas as pd

CELL = ["segment", "placement", "campaign"]


def decisions(
    impressions: pd.DataFrame, pairs: pd.DataFrame, probability: np.ndarray, pool: pd.DataFrame | None, share: float
) -> pd.DataFrame:
    """Columns segment, placement, campaign, creative_id, probability (sums to 1 per cell), impressions (of the cell).

    impressions: impression_id, segment, placement (null: `any`), campaign. pairs: impression_id, creative_id [n_pairs].
    probability: float64 [n_pairs]. pool: new creatives (creative_id, campaign), or None. share: in [0, 1], theirs.
    """
    cells = impressions[["impression_id", *CELL]].assign(placement=impressions["placement"].fillna("any"))
    sizes = cells.groupby(CELL, sort=True).size().rename("impressions").reset_index()
    rows = pairs[["impression_id", "creative_id"]].assign(probability=probability).merge(cells, on="impression_id")
    mass = rows.groupby([*CELL, "creative_id"], sort=True)["probability"].sum().reset_index()
    table = mass.merge(sizes, on=CELL)
    table["probability"] /= table["impressions"]
    if pool is not None and len(pool) and share > 0:
        table = _with_pool(table, sizes, pool, share)
    ordered = table.sort_values([*CELL, "probability", "creative_id"], ascending=[True, True, True, False, True])
    return ordered[[*CELL, "creative_id", "probability", "impressions"]].reset_index(drop=True)


def _with_pool(table: pd.DataFrame, sizes: pd.DataFrame, pool: pd.DataFrame, share: float) -> pd.DataFrame:
    new = sizes.merge(pool[["campaign", "creative_id"]], on="campaign")
    new["probability"] = share / new.groupby(CELL)["creative_id"].transform("size")
    has_new = table["campaign"].isin(pool["campaign"]).to_numpy()
    kept = table.assign(probability=table["probability"] * np.where(has_new, 1 - share, 1.0))
    return pd.concat([kept, new[kept.columns]], ignore_index=True)
