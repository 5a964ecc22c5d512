"""Why the table of a policy shows the ad that it shows most in each cell, in words."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.interest import CalibratedModel
from components.interest.reasons import CHINESE, ENGLISH, SEGMENT, decision_reasons
from components.policies.decision_table import CELL, CellSamples, cell_samples
from components.settings.sections import PolicyConfig

Sentences = Mapping[str, tuple[str, ...]]  # language (`en`, `zh`) -> the reasons of a decision, the strongest first
REASON_COLUMNS = (*CELL, "creative_id", "rank", "effect", ENGLISH, CHINESE)


def table_reasons(
    model: CalibratedModel,
    creatives: pd.DataFrame,
    contexts: pd.DataFrame,
    config: PolicyConfig,
    decisions: pd.DataFrame,
) -> pd.DataFrame | None:
    """REASON_COLUMNS: the reasons of the most probable creative of each cell, by rank from 1; no row for a cell that
    shows all creatives alike. None if the kind of model gives no reasons.

    creatives, contexts: as in decision_table.cell_samples. decisions: the table's rows, the most probable first.
    effect: log-odds of a click, against the mean of the campaign's creatives. The last two columns are sentences.
    """
    probability = decisions.groupby(CELL)["probability"]
    prefers = decisions[probability.transform("max") > probability.transform("min")]
    shown = prefers.drop_duplicates(CELL).set_index(CELL)["creative_id"]
    parts = []
    for sample in cell_samples(creatives, contexts, config.contexts, config.seed):
        rows = _of_campaign(model, sample, shown)
        if rows is None:
            return None
        parts += rows
    table = pd.DataFrame(parts, columns=list(REASON_COLUMNS))
    return table.sort_values([*CELL, "rank"], ignore_index=True).astype({"rank": "int64", "effect": "float64"})


def table_sentences(reasons: pd.DataFrame) -> dict[tuple[str, str, str, str], Sentences]:
    """The sentences of `table_reasons`, by cell and creative."""
    ordered = reasons.sort_values("rank", kind="stable").groupby([*CELL, "creative_id"], sort=False)
    return {key: {name: tuple(rows[name]) for name in (ENGLISH, CHINESE)} for key, rows in ordered}


def _of_campaign(model: CalibratedModel, sample: CellSamples, shown: pd.Series) -> list[tuple] | None:
    pairs, cell = sample.pairs(model.pairs)
    keys = [tuple(key[name] for name in CELL) for key, _, _ in sample.cells]
    creative = shown.reindex(pd.MultiIndex.from_tuples(keys)).to_numpy(dtype=object)
    place = pd.Index(sample.creatives["creative_id"]).get_indexer(creative).astype(np.int64)
    preferred = place >= 0
    place = np.maximum(place, 0)  # of cells without a preference, whose reasons are left out
    found = decision_reasons(model, pairs, cell, place, who=SEGMENT)
    if found is None:
        return None
    return [
        (*key, name, rank, round(reason.effect, 4), reason.text(ENGLISH), reason.text(CHINESE))
        for key, name, reasons, known in zip(keys, creative, found, preferred, strict=True)
        if known
        for rank, reason in enumerate(reasons, 1)
    ]
