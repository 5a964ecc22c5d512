"""The deployed policy, from the champion's snapshot: logged propensities on its log, elsewhere its package's.

Its log holds the exact propensities; those that its package computes are approximations of them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from components.contract.files.digests import digest_package
from components.contract.files.tables import files_in, read_json
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


@dataclass(frozen=True)
class ChampionPolicy:
    """The deployed policy. logging_policy: prefix of its name in the log; acts: the form of `package` that acts."""

    logging_policy: str
    package: PolicyPackage
    acts: str
    paths: Paths

    def probabilities(
        self, tables: dict[str, pd.DataFrame], impressions: pd.DataFrame, pairs: pd.DataFrame
    ) -> np.ndarray:
        """Its probability of each of `pairs` (impression_id, creative_id, maybe propensity): float64 [n_pairs].

        impressions: impression_id, shopper_id, placement, campaign, logging_policy, creative_id and propensity (of the
        shown creative); pairs are in the order of the impressions.
        """
        offsets = pair_offsets(pairs, impressions)
        on_its_log = impressions["logging_policy"].str.startswith(self.logging_policy).to_numpy()
        logged = _logged_probabilities(impressions, pairs, offsets)
        if on_its_log.all():
            return logged
        scored = pairs[["impression_id", "creative_id"]]
        if self.acts == PER_SHOPPER:
            scored = scored.assign(p_click=self._scores(tables, scored))
        computed = self.package.probabilities(self.acts, impressions, scored, offsets)
        return np.where(spread(on_its_log, offsets), logged, computed)

    def _scores(self, tables: dict[str, pd.DataFrame], pairs: pd.DataFrame) -> np.ndarray:
        """P(click) by the features and the model in the package: float64 [n_pairs]."""
        folder = self.paths.champion / "model"
        try:
            features = FeatureModel.from_files(files_in(folder / "features"))
            model = CalibratedModel.from_files(files_in(folder / "interest"))
        except (UserError, KeyError, TypeError, ValueError) as error:
            # the files are signed, so they are whole and of another layout
            record = read_json(self.paths.champion_record)
            raise unreadable_champion(record["model"], record["version"], error) from None
        return predict_pairs(model, build_features(features, tables, FeaturesConfig()), pairs)


def read_champion(paths: Paths) -> ChampionPolicy | None:
    """The deployed policy in the champion's snapshot; None without a champion.

    UserError, before any file is read, if the files are not the registered and signed ones.
    """
    if not paths.champion.exists() and not paths.champion_record.exists():
        return None
    record = _checked_record(paths)
    package = PolicyPackage.from_files(
        {name: content for name, content in files_in(paths.champion).items() if "/" not in name}
    )
    acts = record["acts"] or package.parameters.forms[0]
    return ChampionPolicy(logging_policy_name(record["package"]), package, acts, paths)


def unreadable_champion(name: str, version: int, error: Exception) -> UserError:
    """What to do about the champion of the model `name`, whose files this release cannot read because of `error`."""
    dataset = name.removesuffix("-policy")
    return UserError(
        f"{name} version {version}, the champion, was registered by an earlier release, and this one cannot read it "
        f"({error}). Nothing was registered or moved. Either go back to an earlier champion (`adloom rollback "
        f"{dataset}`), or run with the commit in the version's tag git_commit, or delete the alias champion of {name} "
        "in MLflow (`adloom ui`): the next run compares its policy with the one that logged the data"
    )


def _checked_record(paths: Paths) -> dict:
    """The record of the snapshot, after a check that its files are those of the record."""
    record = read_json(paths.champion_record) if paths.champion_record.exists() else {}
    if not paths.champion.exists() or record.get("package") != digest_package(paths.champion):
        raise UserError(
            f"{paths.champion}: the snapshot of the champion is incomplete or was altered; "
            f"`adloom run {paths.artifacts.name}` fetches it anew"
        )
    folder = Path(paths.champion)
    verify(folder, record["model"], signature_path(folder), str(folder))
    return record


def _logged_probabilities(impressions: pd.DataFrame, pairs: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
    """The logging distribution, float64 [n_pairs].

    If only the shown creative's propensity is known, the other creatives share the rest evenly.
    """
    shown = pairs["creative_id"].to_numpy() == spread(impressions["creative_id"].to_numpy(dtype=object), offsets)
    propensity = spread(impressions["propensity"].to_numpy(dtype=float), offsets)
    others = np.maximum(spread(np.diff(offsets), offsets) - 1, 1)
    filled = np.where(shown, propensity, (1 - propensity) / others)
    if "propensity" not in pairs:
        return filled
    known = pairs["propensity"].to_numpy(dtype=float)
    complete = np.add.reduceat(np.isnan(known), offsets[:-1]) == 0
    return np.where(spread(complete, offsets), known, filled)
