"""A policy without its models: the tables and parameters from which each of its forms computes probabilities.

The forms in which a policy can be deployed:

    table         decisions.parquet, looked up by segment, placement and campaign (decision_table.py)
    per_shopper   the policy applied to the scores of a request's eligible creatives (policy_kinds.py): the interest
                  model's, or those in scores.parquet if the policy has learned its own (learned_scores.py)

Both are fixed before the judged rows. Each is judged under its own name; only a form that passes is deployed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.policies.decision_table import CELL, DecisionTable, segment_names
from components.policies.kinds.learned_scores import LearnedScores
from components.policies.policy_kinds import policy_kind
from components.policies.policy_protocol import Choices, Policy
from components.policies.probability_floors import with_floors
from components.policies.ragged_rows import spread
from components.settings.errors import EarlierFormat
from components.settings.typed_settings import typed_settings

TABLE, PER_SHOPPER = "table", "per_shopper"
FORMS = (TABLE, PER_SHOPPER)
EARLIER_POLICIES = {
    None: "softmax",
    "chi-square": "chi_square",
}  # by the `weighing` of packages without a policy's name
PARAMETERS_FILE, DECISIONS_FILE, SEGMENTS_FILE, CATALOGUE_FILE, SCORES_FILE, REASONS_FILE = (
    "policy.json",
    "decisions.parquet",
    "segments.parquet",
    "catalogue.parquet",
    "scores.parquet",
    "reasons.parquet",
)
COLUMNS = {  # of each table that the policy reads
    DECISIONS_FILE: frozenset({*CELL, "creative_id", "probability"}),
    SEGMENTS_FILE: frozenset({"shopper_id", "segment"}),
    CATALOGUE_FILE: frozenset({"creative_id", "campaign", "active_from", "active_until", "preference", "new"}),
    SCORES_FILE: frozenset({"segment", "creative_id", "score"}),
    REASONS_FILE: frozenset({*CELL, "creative_id", "rank", "effect", "en", "zh"}),
}


@dataclass(frozen=True)
class PolicyParameters:
    """The content of policy.json.

    forms: in the order in which they are judged. temperatures: of each form, in units of log-odds. policy: its name in
    POLICIES; policy_settings: its settings as JSON values. exploration, new_share: in [0, 1]. learned_until:
    microseconds since 1970; the policy was trained on and chosen by earlier rows only. objective: what it maximises
    (objective.py). errors: whether it uses the scores' standard errors; packages of earlier releases do not.
    """

    forms: tuple[str, ...]
    temperatures: Mapping[str, float]
    policy: str
    policy_settings: Mapping[str, object]
    exploration: float
    new_share: float
    learned_until: int
    objective: str = "click"
    errors: bool = False

    def policy_of(self, form: str) -> Policy:
        """The policy of `form`, which maps scores to probabilities. UserError if its name or settings are unknown."""
        kind = policy_kind(self.policy, PARAMETERS_FILE)
        settings = typed_settings(self.policy_settings, f"{PARAMETERS_FILE}: policy_settings", kind.settings)
        return (kind.for_table if form == TABLE else kind.make)(settings, self.temperatures[form])

    def floored(self, weight: np.ndarray, new: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Weights of pairs as probabilities, with exploration and the share of new creatives (with_floors)."""
        return with_floors(weight, new, offsets, self.exploration, self.new_share)


@dataclass(frozen=True)
class PolicyPackage:
    """decisions, segments: see DecisionTable.

    catalogue: creative_id, campaign, active_from, active_until (when both the creative and its campaign are active;
    null: always), preference (float64, logging_preference.py), new (bool): whether it is in the policy's pool, and
    value: what a click on it earns, relative to the best of its campaign, in (0, 1] (objective.py; absent: 1).
    scores: the policy's own; None if it uses the interest model's. reasons: table_reasons.REASON_COLUMNS, why each cell
    of the table shows its most probable creative; None if that is not known, as in packages of earlier releases.
    """

    parameters: PolicyParameters
    decisions: pd.DataFrame
    segments: pd.DataFrame
    catalogue: pd.DataFrame
    scores: LearnedScores | None = None
    reasons: pd.DataFrame | None = None

    @property
    def table(self) -> DecisionTable:
        """The form `table`, in which an ad server looks probabilities up."""
        return DecisionTable(
            self.decisions, self.segments, self.new, self.parameters.exploration, self.parameters.new_share
        )

    @property
    def new(self) -> frozenset[str]:
        """Ids of the creatives in the pool."""
        return frozenset(self.catalogue.loc[self.catalogue["new"], "creative_id"])

    def probabilities(
        self, form: str, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray
    ) -> np.ndarray:
        """Probability that `form` shows each pair: float64 [n_pairs], summing to 1 within each impression.

        impressions: shopper_id, placement, campaign; for per_shopper impression_id and, if the policy has scores of its
        own, shopper_id. pairs: creative_id and, for per_shopper without such scores, p_click and its standard error
        p_click_error, which only a policy with `parameters.errors` needs.
        """
        if form == TABLE:
            return self.table.probabilities(impressions, pairs, offsets)
        return self.per_shopper(impressions, pairs, offsets)

    def per_shopper(self, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
        """`probabilities` of the form `per_shopper`, float64 [n_pairs]."""
        known = self.catalogue.set_index("creative_id").reindex(pairs["creative_id"])
        value = known["value"].fillna(1.0).to_numpy() if "value" in known else 1.0
        errors = pairs["p_click_error"].to_numpy() * value if self.parameters.errors else None
        choices = Choices(
            offsets=offsets,
            scores=self._scores(impressions, pairs, offsets) * value,
            score_errors=errors,
            preference=known["preference"].fillna(0.0).to_numpy(),
            decision_ids=impressions["impression_id"].to_numpy(dtype=object),
            creative_ids=pairs["creative_id"].to_numpy(dtype=object),
        )
        new = pairs["creative_id"].isin(self.new).to_numpy()
        return self.parameters.floored(self.parameters.policy_of(PER_SHOPPER).probabilities(choices), new, offsets)

    def _scores(self, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
        """The score of each pair, float64 [n_pairs]; of a creative without one the lowest of its impression."""
        if self.scores is None:
            return pairs["p_click"].to_numpy()
        segment = segment_names(self.segments, impressions["shopper_id"])
        return lowest_for_unknown(self.scores.of(spread(segment, offsets), pairs["creative_id"]), offsets)

    def shown_and_unlogged(
        self, form: str, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`probabilities` of logged pairs, float64 [n_pairs], and `unlogged_share` of impressions, float64 [n]."""
        return self.probabilities(form, impressions, pairs, offsets), self.unlogged_share(impressions, pairs, offsets)

    def unlogged_share(self, impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
        """Share of each impression that goes to new creatives not among its pairs: float64 [n] in [0, 1].

        A pool enters the shop when its policy is deployed, so no earlier log contains it; the gate counts this share as
        if it earned nothing.
        """
        has_new = impressions["campaign"].isin(self.catalogue.loc[self.catalogue["new"], "campaign"]).to_numpy()
        logged = np.add.reduceat(pairs["creative_id"].isin(self.new).to_numpy(dtype=int), offsets[:-1]) > 0
        return np.where(has_new & ~logged, self.parameters.new_share, 0.0)

    def files(self) -> dict[str, bytes]:
        """File name -> bytes of every file but the models'; equal policies give equal bytes."""
        settings = json.dumps(asdict(self.parameters), sort_keys=True)
        tables = {DECISIONS_FILE: self.decisions, SEGMENTS_FILE: self.segments, CATALOGUE_FILE: self.catalogue}
        if self.scores is not None:
            tables[SCORES_FILE] = self.scores.rows
        if self.reasons is not None:
            tables[REASONS_FILE] = self.reasons
        return {PARAMETERS_FILE: f"{settings}\n".encode(), **{name: _parquet(table) for name, table in tables.items()}}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "PolicyPackage":
        """The package that `files` wrote. EarlierFormat if a file is missing or damaged, or has another layout."""
        try:
            stored = _with_policy(json.loads(files[PARAMETERS_FILE]))
            parameters = PolicyParameters(**{**stored, "forms": tuple(stored["forms"])})
            if not parameters.forms:
                raise ValueError(f"{PARAMETERS_FILE} names no form")
            for form in parameters.forms:
                parameters.policy_of(form)  # raises UserError if it is unknown
            decisions, segments, catalogue = (
                _table(files, name) for name in (DECISIONS_FILE, SEGMENTS_FILE, CATALOGUE_FILE)
            )
            learns = policy_kind(parameters.policy, PARAMETERS_FILE).learn is not None
            scores = LearnedScores(_table(files, SCORES_FILE)) if learns else None
            reasons = _table(files, REASONS_FILE) if REASONS_FILE in files else None
            return cls(parameters, decisions, segments, catalogue, scores, reasons)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise EarlierFormat(
                f"a policy's package lacks a file, holds a damaged one, or has the layout of an earlier release "
                f"({type(error).__name__}: {error})"
            ) from None


def lowest_for_unknown(scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Scores of pairs, float64 [n_pairs], with the lowest of the impression in place of NaN; 0.5 if all are NaN."""
    known = np.where(np.isnan(scores), np.inf, scores)
    lowest = np.minimum.reduceat(known, offsets[:-1])
    lowest = np.where(np.isinf(lowest), 0.5, lowest)
    return np.where(np.isnan(scores), spread(lowest, offsets), scores)


def _with_policy(stored: Mapping[str, object]) -> Mapping[str, object]:
    """The content of policy.json with the policy's name, which earlier packages call `weighing` or leave out."""
    if not isinstance(stored, Mapping):
        raise TypeError(f"{PARAMETERS_FILE} holds no mapping")
    if "policy" in stored:
        return stored
    others = {name: value for name, value in stored.items() if name != "weighing"}
    return {**others, "policy": EARLIER_POLICIES[stored.get("weighing")], "policy_settings": {}}


def _parquet(table: pd.DataFrame) -> bytes:
    content = BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), content, compression="zstd")
    return content.getvalue()


def _table(files: Mapping[str, bytes], name: str) -> pd.DataFrame:
    """The table in the Parquet file `name`; ValueError if it lacks one of its COLUMNS."""
    table = pq.read_table(BytesIO(files[name])).to_pandas()
    missing = sorted(COLUMNS[name].difference(table.columns))
    if missing:
        raise ValueError(f"{name} lacks the column {', '.join(missing)}")
    return table
