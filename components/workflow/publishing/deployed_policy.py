"""The champion's snapshot -> what it shows: on its own log what it logged, elsewhere what its package does.

Its own log says exactly what it showed with which probability; a function that is computed anew could only come near.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from components.contract.files.digests import digest_package
from components.contract.files.tables import read_json
from components.features import FeatureModel, build_features
from components.interest import CalibratedModel, predict_pairs
from components.policies.eligible import pair_offsets
from components.policies.logging_preference import logging_policy_name
from components.policies.policy_package import PER_SHOPPER, PolicyPackage
from components.policies.ragged_rows import spread
from components.registry.signing import signature_path, verify
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import FeaturesConfig
from components.workflow.stage_inputs import files_in


@dataclass(frozen=True)
class Champion:
    """The policy that is deployed: the name that its log bears, its package, and the form in which it acts."""

    logging_policy: str
    package: PolicyPackage
    acts: str
    paths: Paths

    def probabilities(
        self, tables: dict[str, pd.DataFrame], impressions: pd.DataFrame, pairs: pd.DataFrame
    ) -> np.ndarray:
        """Its probability of each of `pairs` (impression_id, creative_id, maybe propensity): float64 [n_pairs].

        impressions: impression_id, shopper_id, placement, campaign, logging_policy, creative_id and propensity (of what
        was shown); pairs are grouped in their order.
        """
        offsets = pair_offsets(pairs, impressions)
        own = impressions["logging_policy"].str.startswith(self.logging_policy).to_numpy()
        logged = _as_logged(impressions, pairs, offsets)
        if own.all():
            return logged
        scored = pairs[["impression_id", "creative_id"]]
        if self.acts == PER_SHOPPER:
            scored = scored.assign(p_click=self._scores(tables, scored))
        return np.where(
            spread(own, offsets), logged, self.package.probabilities(self.acts, impressions, scored, offsets)
        )

    def _scores(self, tables: dict[str, pd.DataFrame], pairs: pd.DataFrame) -> np.ndarray:
        """P(click) by the features and the model that the package pins: float64 [n_pairs]."""
        folder = self.paths.champion / "model"
        pinned = FeatureModel.from_files(files_in(folder / "features"))
        model = CalibratedModel.from_files(files_in(folder / "interest"))
        return predict_pairs(model, build_features(pinned, tables, FeaturesConfig()), pairs)


def read_champion(paths: Paths) -> Champion | None:
    """The snapshot of the champion; None where there is none.

    UserError, before any of it is read, where its files are not those that were registered and signed.
    """
    if not paths.champion.exists() and not paths.champion_record.exists():
        return None
    record = _checked_record(paths)
    package = PolicyPackage.from_files(
        {name: content for name, content in files_in(paths.champion).items() if "/" not in name}
    )
    acts = record["acts"] or package.parameters.forms[0]
    return Champion(logging_policy_name(record["package"]), package, acts, paths)


def _checked_record(paths: Paths) -> dict:
    """What the registry says of the snapshot, whose files are those that it speaks of."""
    record = read_json(paths.champion_record) if paths.champion_record.exists() else {}
    if not paths.champion.exists() or record.get("package") != digest_package(paths.champion):
        raise UserError(
            f"{paths.champion}: the snapshot of the champion was cut off or altered; "
            f"`adloom run {paths.artifacts.name}` fetches it anew"
        )
    folder = Path(paths.champion)
    verify(folder, record["model"], signature_path(folder), str(folder))
    return record


def _as_logged(impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
    """The logging distribution; of an impression whose candidates' is unknown, the rest is spread over the others."""
    shown = pairs["creative_id"].to_numpy() == spread(impressions["creative_id"].to_numpy(dtype=object), offsets)
    chance = spread(impressions["propensity"].to_numpy(dtype=float), offsets)
    others = np.maximum(spread(np.diff(offsets), offsets) - 1, 1)
    filled = np.where(shown, chance, (1 - chance) / others)
    if "propensity" not in pairs:
        return filled
    known = pairs["propensity"].to_numpy(dtype=float)
    whole = np.add.reduceat(np.isnan(known), offsets[:-1]) == 0
    return np.where(spread(whole, offsets), known, filled)
