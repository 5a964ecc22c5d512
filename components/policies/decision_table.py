"""A policy as a table that an ad server looks up: segment x placement x campaign -> the probability of each creative.

The table is computed from rows before the judged ones. For each cell the interest model scores every creative of the
campaign in a sample of the cell's logged contexts. The policy maps the mean scores and the logging policy's preference
to probabilities, as if the cell were one decision. A server, the evaluation and the simulated shop all apply the table
by `probabilities`: look the cell up, keep the eligible creatives, renormalise
(components/policies/probability_floors.py). A shopper who is not in `segments` (new, or without consent) gets the rows
of segment `any`; a placement that the table lacks gets those of placement `any`; in a campaign that it lacks all
eligible creatives have the same probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.interest import CalibratedModel
from components.interest.model_protocol import Pairs
from components.interest.new_pairs import new_pairs
from components.policies.eligible import rows_of
from components.policies.policy_protocol import Choices, Policy
from components.policies.probability_floors import with_floors

ANY = "any"
CELL = ["segment", "placement", "campaign"]


@dataclass(frozen=True)
class DecisionTable:
    """rows: segment, placement, campaign, creative_id, probability (sums to 1 per cell) and impressions (of the cell).

    segments: shopper_id, segment; consenting shoppers only. new: ids of the pool's creatives, which no log contains.
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
        table_keys = _pair_keys(_cell_rows(self.rows, cells), rows_of(self.rows["creative_id"], names), len(names))
        order = np.argsort(table_keys, kind="stable")
        pair_keys = _pair_keys(cell, creative, len(names))
        position = np.searchsorted(table_keys[order], pair_keys)
        row = order[np.minimum(position, len(order) - 1)]
        in_table = (cell >= 0) & (creative >= 0) & (table_keys[row] == pair_keys)
        weight = np.where(in_table, self.rows["probability"].to_numpy()[row], 0.0)
        new = pairs["creative_id"].isin(self.new).to_numpy()
        return with_floors(weight, new, offsets, self.exploration, self.new_share)

    def _cells(self, impressions: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
        """The cell of each impression, int64 [n]: exact, else with segment `any`, else also placement `any`; or -1."""
        wanted = pd.DataFrame(
            {
                "segment": segment_names(self.segments, impressions["shopper_id"]),
                "placement": impressions["placement"].fillna(ANY).to_numpy(dtype=object),
                "campaign": impressions["campaign"].to_numpy(dtype=object),
            }
        )
        cell = _cell_rows(wanted, cells)
        for wider in ({"segment": ANY}, {"segment": ANY, "placement": ANY}):
            missing = cell < 0
            cell[missing] = _cell_rows(wanted[missing].assign(**wider), cells)
        return cell


def score_cells(
    model: CalibratedModel,
    creatives: pd.DataFrame,
    contexts: pd.DataFrame,
    most: int,
    seed: int,
    *,
    errors: bool = False,
) -> pd.DataFrame:
    """Columns segment, placement, campaign, creative_id, score (mean P(click) in the cell), impressions (of the cell).

    errors: also the column score_error, the standard error of the score; UserError if the model has none. The other
    arguments are those of `cell_samples`.
    """
    samples = cell_samples(creatives, contexts, most, seed)
    return pd.concat([table for sample in samples for table in _mean_scores(model, sample, errors)], ignore_index=True)


@dataclass(frozen=True)
class CellSamples:
    """The cells of a campaign with a sample of the logged contexts of each, and the campaign's creatives.

    contexts, creatives: feature rows. cells: the key (segment, placement, campaign), rows of `contexts` int64, and how
    many impressions the cell has.
    """

    contexts: pd.DataFrame
    creatives: pd.DataFrame
    cells: tuple[tuple[dict[str, str], np.ndarray, int], ...]

    def pairs(self, names: tuple[str, ...]) -> tuple[Pairs, np.ndarray]:
        """Every context of each cell with every creative, with the pair features `names`; the cell of each, int64."""
        row, count = np.concatenate([sample for _, sample, _ in self.cells]), len(self.creatives)
        used_rows, row_in_used = np.unique(row, return_inverse=True)
        places = np.repeat(row_in_used, count), np.tile(np.arange(count), len(row))
        cell = np.repeat(np.arange(len(self.cells)), [len(sample) * count for _, sample, _ in self.cells])
        return new_pairs(self.contexts.iloc[used_rows], self.creatives, *places, names), cell


def cell_samples(creatives: pd.DataFrame, contexts: pd.DataFrame, most: int, seed: int) -> Iterator[CellSamples]:
    """The cells of each campaign that has creatives.

    creatives: feature rows, as known when judging begins. contexts: consenting impressions before the judged ones, with
    feature columns and segment (text), placement, campaign. A random sample of at most `most` of each cell is taken.
    """
    random = np.random.default_rng(seed)
    contexts = contexts.assign(placement=contexts["placement"].fillna(ANY)).reset_index(drop=True)
    for campaign, rows in contexts.groupby("campaign", sort=True):
        campaign_creatives = creatives[creatives["campaign"] == campaign].reset_index(drop=True)
        cells = tuple(_sampled_cells(rows, most, random))
        if len(campaign_creatives):
            yield CellSamples(contexts, campaign_creatives, cells)


def decision_rows(scored: pd.DataFrame, preference: pd.Series, policy: Policy) -> pd.DataFrame:
    """The rows of a DecisionTable, most probable first: `policy` decides on each cell of `score_cells`."""
    cell = scored.groupby(CELL, sort=False).ngroup().to_numpy()
    scored = scored.iloc[np.argsort(cell, kind="stable")]
    counts = np.bincount(cell)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    choices = Choices(
        offsets=offsets,
        scores=scored["score"].to_numpy(),
        score_errors=scored["score_error"].to_numpy() if "score_error" in scored else None,
        preference=preference.reindex(scored["creative_id"]).fillna(0.0).to_numpy(),
        decision_ids=scored[CELL].iloc[offsets[:-1]].agg("/".join, axis=1).to_numpy(dtype=object),
        creative_ids=scored["creative_id"].to_numpy(dtype=object),
    )
    table = scored.assign(probability=policy.probabilities(choices)).drop(columns="score")
    ordered = table.sort_values([*CELL, "probability", "creative_id"], ascending=[True, True, True, False, True])
    return ordered[[*CELL, "creative_id", "probability", "impressions"]].reset_index(drop=True)


def segment_names(segments: pd.DataFrame, shopper_id: pd.Series) -> np.ndarray:
    """The segment of each shopper, str [n]; `any` for a shopper without a segment."""
    return np.append(segments["segment"].to_numpy(dtype=object), ANY)[rows_of(shopper_id, segments["shopper_id"])]


def _sampled_cells(
    rows: pd.DataFrame, most: int, random: np.random.Generator
) -> Iterator[tuple[dict[str, str], np.ndarray, int]]:
    """For each cell of a campaign: its key, the row numbers of a sample of its rows, and how many rows it has."""
    campaign = rows["campaign"].iloc[0]
    groups = [((ANY, ANY), rows.index.to_numpy())]
    groups += [
        ((ANY, place), rows_of_group.index.to_numpy()) for place, rows_of_group in rows.groupby("placement", sort=True)
    ]
    groups += [
        (key, rows_of_group.index.to_numpy())
        for key, rows_of_group in rows.groupby(["segment", "placement"], sort=True)
    ]
    cells_done = set()
    for (segment, placement), row_numbers in groups:
        if (segment, placement) in cells_done:
            continue
        cells_done.add((segment, placement))
        sample = row_numbers if len(row_numbers) <= most else random.choice(row_numbers, most, replace=False)
        yield {"segment": segment, "placement": placement, "campaign": campaign}, np.sort(sample), len(row_numbers)


def _mean_scores(model: CalibratedModel, sample: CellSamples, errors: bool) -> list[pd.DataFrame]:
    """One table per cell: the mean P(click) of every creative over the cell's sample, and maybe its standard error."""
    pairs, cell_of_pair = sample.pairs(model.pairs)
    scores = model.probabilities(pairs).reshape(-1, len(sample.creatives))
    starts = np.cumsum([0, *(len(rows) for _, rows, _ in sample.cells)])[:-1]
    means = [part.mean(axis=0) for part in np.split(scores, starts[1:])]
    tables = [
        pd.DataFrame({**cell, "creative_id": sample.creatives["creative_id"], "score": mean, "impressions": size})
        for (cell, _, size), mean in zip(sample.cells, means, strict=True)
    ]
    if not errors:
        return tables
    of_log_odds = model.standard_errors(pairs, cell_of_pair).reshape(scores.shape)[starts]
    return [
        table.assign(score_error=of_cell * table["score"] * (1 - table["score"]))
        for table, of_cell in zip(tables, of_log_odds, strict=True)
    ]


def _cell_rows(wanted: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
    """Row in `cells` of each wanted cell, int64 [n]; -1 if it is not there."""
    row = pd.MultiIndex.from_frame(cells[CELL]).get_indexer(pd.MultiIndex.from_frame(wanted[CELL]))
    return row.astype(np.int64)


def _pair_keys(cell: np.ndarray, creative: np.ndarray, creatives: int) -> np.ndarray:
    return np.where((cell >= 0) & (creative >= 0), cell * creatives + creative, -1)
