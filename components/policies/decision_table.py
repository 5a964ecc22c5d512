"""A policy as a table that an ad server looks up: segment x placement x campaign -> the probability of each creative.

The table is fixed from rows before the judged ones. For each cell the model of interest scores every creative of the
campaign in a sample of the contexts that the cell has met. Of the mean scores, and of what the shop's own policy
prefers, the policy makes probabilities as if the cell were one decision. A server, the evaluation and the simulated
shop all apply the table by `probabilities`: look the cell up, keep the eligible creatives, renormalise
(components/policies/probability_floors.py). A shopper who is not in `segments` (a newcomer, or one who refused consent)
gets the rows of segment `any`; a placement that the table does not know gets those of placement `any`; a campaign that
it does not know gets its eligible creatives evenly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.interest import CalibratedModel
from components.interest.new_pairs import new_pairs
from components.policies.eligible import rows_of
from components.policies.policy_protocol import Choices, Policy
from components.policies.probability_floors import shared

ANY = "any"
CELL = ["segment", "placement", "campaign"]


@dataclass(frozen=True)
class DecisionTable:
    """rows: segment, placement, campaign, creative_id, probability (sums to 1 per cell) and impressions (of the cell).

    segments: shopper_id, segment; consenting shoppers only. new: ids of the pool's creatives, which no log speaks of.
    """

    rows: pd.DataFrame
    segments: pd.DataFrame
    new: frozenset[str]
    exploration: float
    new_share: float

    def probabilities(self, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
        """Probability of showing each pair: float64 [n_pairs], summing to 1 within each impression.

        impressions: shopper_id, placement (null: any), campaign. pairs: creative_id, grouped in their order; impression
        i owns pairs offsets[i]:offsets[i + 1].
        """
        cells = self.rows.drop_duplicates(CELL, ignore_index=True)
        cell = np.repeat(self._cells(impressions, cells), np.diff(offsets))
        names = pd.Series(self.rows["creative_id"].unique())
        creative = rows_of(pairs["creative_id"], names)
        held = _keys(_cell_rows(self.rows, cells), rows_of(self.rows["creative_id"], names), len(names))
        order = np.argsort(held, kind="stable")
        asked = _keys(cell, creative, len(names))
        place = np.searchsorted(held[order], asked)
        row = order[np.minimum(place, len(order) - 1)]
        told = (cell >= 0) & (creative >= 0) & (held[row] == asked)
        weight = np.where(told, self.rows["probability"].to_numpy()[row], 0.0)
        new = pairs["creative_id"].isin(self.new).to_numpy()
        return shared(weight, new, offsets, self.exploration, self.new_share)

    def _cells(self, impressions: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
        """The cell that serves each impression, int64 [n]: its own, else of segment, then of placement `any`; or -1."""
        known = rows_of(impressions["shopper_id"], self.segments["shopper_id"])
        named = np.append(self.segments["segment"].to_numpy(dtype=object), ANY)
        asked = pd.DataFrame(
            {
                "segment": named[known],
                "placement": impressions["placement"].fillna(ANY).to_numpy(dtype=object),
                "campaign": impressions["campaign"].to_numpy(dtype=object),
            }
        )
        found = _cell_rows(asked, cells)
        for wider in ({"segment": ANY}, {"segment": ANY, "placement": ANY}):
            missing = found < 0
            found[missing] = _cell_rows(asked[missing].assign(**wider), cells)
        return found


def fit_decisions(
    model: CalibratedModel, creatives: pd.DataFrame, contexts: pd.DataFrame, most: int, seed: int
) -> pd.DataFrame:
    """Columns segment, placement, campaign, creative_id, score (mean P(click) in the cell), impressions (of the cell).

    creatives: feature rows, as known when judging begins. contexts: consenting impressions before the judged ones, with
    feature columns and segment (text), placement, campaign; at most `most` of each cell, drawn with `seed`, are scored.
    """
    random = np.random.default_rng(seed)
    contexts = contexts.assign(placement=contexts["placement"].fillna(ANY)).reset_index(drop=True)
    scored = []
    for campaign, rows in contexts.groupby("campaign", sort=True):
        own = creatives[creatives["campaign"] == campaign].reset_index(drop=True)
        cells = list(_samples(rows, most, random))
        if len(own):
            scored += _mean_scores(model, contexts, own, cells)
    return pd.concat(scored, ignore_index=True)


def weigh(scored: pd.DataFrame, preference: pd.Series, policy: Policy) -> pd.DataFrame:
    """`fit_decisions`' rows, each cell a decision of `policy` -> the rows of a DecisionTable, the best first."""
    cell = scored.groupby(CELL, sort=False).ngroup().to_numpy()
    scored = scored.iloc[np.argsort(cell, kind="stable")]
    counts = np.bincount(cell)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    choices = Choices(
        offsets=offsets,
        scores=scored["score"].to_numpy(),
        preference=preference.reindex(scored["creative_id"]).fillna(0.0).to_numpy(),
        decision_ids=scored[CELL].iloc[offsets[:-1]].agg("/".join, axis=1).to_numpy(dtype=object),
        creative_ids=scored["creative_id"].to_numpy(dtype=object),
    )
    table = scored.assign(probability=policy.probabilities(choices)).drop(columns="score")
    ordered = table.sort_values([*CELL, "probability", "creative_id"], ascending=[True, True, True, False, True])
    return ordered[[*CELL, "creative_id", "probability", "impressions"]].reset_index(drop=True)


def _samples(
    rows: pd.DataFrame, most: int, random: np.random.Generator
) -> Iterator[tuple[dict[str, str], np.ndarray, int]]:
    """Cells of one campaign: its segment, placement, campaign; the numbers of a sample of its rows; how many it has."""
    campaign = rows["campaign"].iloc[0]
    groups = [((ANY, ANY), rows.index.to_numpy())]
    groups += [((ANY, place), own.index.to_numpy()) for place, own in rows.groupby("placement", sort=True)]
    groups += [(key, own.index.to_numpy()) for key, own in rows.groupby(["segment", "placement"], sort=True)]
    seen = set()
    for (segment, placement), numbers in groups:
        if (segment, placement) in seen:
            continue
        seen.add((segment, placement))
        kept = numbers if len(numbers) <= most else random.choice(numbers, most, replace=False)
        yield {"segment": segment, "placement": placement, "campaign": campaign}, np.sort(kept), len(numbers)


def _mean_scores(model: CalibratedModel, contexts: pd.DataFrame, own: pd.DataFrame, cells: list) -> list[pd.DataFrame]:
    """Mean P(click) over each cell's sample, of every creative in `own`: one table per cell."""
    row = np.concatenate([kept for _, kept, _ in cells])
    used, compact = np.unique(row, return_inverse=True)
    count = len(own)
    met = np.repeat(compact, count), np.tile(np.arange(count), len(row))
    pairs = new_pairs(contexts.iloc[used], own, *met, model.pairs)
    scores = model.probabilities(pairs).reshape(len(row), count)
    ends = np.cumsum([len(kept) for _, kept, _ in cells])
    means = [part.mean(axis=0) for part in np.split(scores, ends[:-1])]
    return [
        pd.DataFrame({**cell, "creative_id": own["creative_id"], "score": mean, "impressions": size})
        for (cell, _, size), mean in zip(cells, means, strict=True)
    ]


def _cell_rows(asked: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
    """Row of each asked cell among `cells`, int64 [n]; -1 where it is not there."""
    found = pd.MultiIndex.from_frame(cells[CELL]).get_indexer(pd.MultiIndex.from_frame(asked[CELL]))
    return found.astype(np.int64)


def _keys(cell: np.ndarray, creative: np.ndarray, creatives: int) -> np.ndarray:
    return np.where((cell >= 0) & (creative >= 0), cell * creatives + creative, -1)
