"""What a policy consists of beside its models: a few tables and numbers, from which alone each of its forms acts.

The forms, in which a policy can leave the building:

    table         decisions.parquet, looked up by segment, placement and campaign (decision_table.py)
    per_shopper   the model's scores of each request's eligible creatives, weighed by the policy (policy_kinds.py)

Both are fixed before the judged rows. Each is judged under its own name, and only what passed may act.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.policies.decision_table import DecisionTable
from components.policies.policy_kinds import policy_kind
from components.policies.policy_protocol import Choices, Policy
from components.policies.probability_floors import shared
from components.settings.errors import UserError
from components.settings.sections import typed_settings

TABLE, PER_SHOPPER = "table", "per_shopper"
FORMS = (TABLE, PER_SHOPPER)
SETTINGS, DECISIONS, SEGMENTS, CATALOGUE = "policy.json", "decisions.parquet", "segments.parquet", "catalogue.parquet"


@dataclass(frozen=True)
class Acting:
    """policy.json. forms: in the order in which they are judged. temperatures: of each form, in units of log-odds.
    policy: its name in POLICIES; policy_settings: its own settings, as JSON has them.

    exploration, new_share: in [0, 1]. learned_until: microseconds since 1970; nothing later has taught the policy or
    chosen anything about it.
    """

    forms: tuple[str, ...]
    temperatures: Mapping[str, float]
    policy: str
    policy_settings: Mapping[str, object]
    exploration: float
    new_share: float
    learned_until: int

    def weighing(self, form: str) -> Policy:
        """What turns scores into probabilities in `form`. Raises UserError where the policy or its settings are not
        known here."""
        kind = policy_kind(self.policy, SETTINGS)
        settings = typed_settings(self.policy_settings, f"{SETTINGS}: policy_settings", kind.settings)
        return (kind.for_table if form == TABLE else kind.make)(settings, self.temperatures[form])


@dataclass(frozen=True)
class PolicyPackage:
    """acting: its numbers. decisions, segments: see DecisionTable.

    catalogue: creative_id, campaign, active_from, active_until (the creative's and its campaign's together; null:
    always), preference (float64, preference.py) and new (bool): whether it is of the policy's own pool.
    """

    acting: Acting
    decisions: pd.DataFrame
    segments: pd.DataFrame
    catalogue: pd.DataFrame

    @property
    def table(self) -> DecisionTable:
        """The form that an ad server looks up."""
        return DecisionTable(self.decisions, self.segments, self.new, self.acting.exploration, self.acting.new_share)

    @property
    def new(self) -> frozenset[str]:
        """Ids of the pool's creatives."""
        return frozenset(self.catalogue.loc[self.catalogue["new"], "creative_id"])

    def probabilities(
        self, form: str, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray
    ) -> np.ndarray:
        """What `form` shows of each impression's pairs: float64 [n_pairs], summing to 1 within each impression.

        impressions: shopper_id, placement, campaign; for per_shopper impression_id instead. pairs: creative_id and,
        for per_shopper, p_click.
        """
        if form == TABLE:
            return self.table.probabilities(impressions, pairs, offsets)
        return self.per_shopper(pairs, offsets, impressions["impression_id"])

    def per_shopper(self, pairs: pd.DataFrame, offsets: np.ndarray, impression_id: pd.Series) -> np.ndarray:
        """Scored eligible creatives (creative_id, p_click) of each impression -> probabilities float64 [n_pairs]."""
        preference = self.catalogue.set_index("creative_id")["preference"]
        choices = Choices(
            offsets=offsets,
            scores=pairs["p_click"].to_numpy(),
            preference=preference.reindex(pairs["creative_id"]).fillna(0.0).to_numpy(),
            decision_ids=impression_id.to_numpy(dtype=object),
            creative_ids=pairs["creative_id"].to_numpy(dtype=object),
        )
        chosen = self.acting.weighing(PER_SHOPPER).probabilities(choices)
        new = pairs["creative_id"].isin(self.new).to_numpy()
        return shared(chosen, new, offsets, self.acting.exploration, self.acting.new_share)

    def acts(
        self, form: str, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `form` shows of logged pairs, float64 [n_pairs], and the share that it keeps for others, float64 [n]."""
        return self.probabilities(form, impressions, pairs, offsets), self.unlogged_share(impressions, pairs, offsets)

    def unlogged_share(self, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
        """Share of each impression that new creatives would get and these pairs do not hold: float64 [n] in [0, 1].

        A pool joins the shop when its policy acts, so no log speaks of it before; the gate charges this share as if it
        earned nothing.
        """
        promised = impressions["campaign"].isin(self.catalogue.loc[self.catalogue["new"], "campaign"]).to_numpy()
        present = np.add.reduceat(pairs["creative_id"].isin(self.new).to_numpy(dtype=int), offsets[:-1]) > 0
        return np.where(promised & ~present, self.acting.new_share, 0.0)

    def files(self) -> dict[str, bytes]:
        """Name -> content of every file but the models'; equal policies give equal bytes."""
        settings = json.dumps(asdict(self.acting), sort_keys=True)
        tables = {DECISIONS: self.decisions, SEGMENTS: self.segments, CATALOGUE: self.catalogue}
        return {SETTINGS: f"{settings}\n".encode(), **{name: _parquet(table) for name, table in tables.items()}}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "PolicyPackage":
        """What `files` wrote -> package. UserError where a file is missing or is something else."""
        try:
            numbers = json.loads(files[SETTINGS])
            acting = Acting(**{**numbers, "forms": tuple(numbers["forms"])})
            for form in acting.forms:
                acting.weighing(form)  # known here, or refused
            return cls(acting, *(_table(files[name]) for name in (DECISIONS, SEGMENTS, CATALOGUE)))
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UserError(
                f"a policy's package lacks a file or holds a damaged one ({error}); packages of release 0.1 and before "
                "must be made anew: `adloom run DATASET` proposes one"
            ) from None


def _parquet(table: pd.DataFrame) -> bytes:
    content = BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), content, compression="zstd")
    return content.getvalue()


def _table(content: bytes) -> pd.DataFrame:
    return pq.read_table(BytesIO(content)).to_pandas()
