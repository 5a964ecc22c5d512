"""A registered policy from its files, such as the champion's: logged propensities on its log, else its package's.

Its log holds the exact propensities; those that its package computes are approximations of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from components.contract.files.digests import digest_package
from components.contract.files.tables import files_in, read_json
from components.features import FeatureModel, build_features
from components.interest import CalibratedModel, score_pairs
from components.policies.eligible import pair_offsets
from components.policies.logging_preference import logging_policy_name
from components.policies.policy_package import PER_SHOPPER, PolicyPackage
from components.policies.ragged_rows import spread
from components.registry.signing import signature_path, verify
from components.registry.unreadable_champion import reading_champion
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import FeaturesConfig

POLICY = "policy"  # kind of model: the registered model is `<dataset>-policy`
RECORD = {"model", "version", "package", "acts", "forms"}  # keys of the snapshot's record


@dataclass(frozen=True)
class RegisteredPolicy:
    """A registered policy. logging_policy: prefix of its name in the log; acts: the form of `package` that acts.

    folder: its files, checked. model, version: its name in the registry.
    """

    logging_policy: str
    package: PolicyPackage
    acts: str
    folder: UPath
    model: str
    version: int

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
            scored = self._scored(tables, scored)
        computed = self.package.probabilities(self.acts, impressions, scored, offsets)
        return np.where(spread(on_its_log, offsets), logged, computed)

    def _scored(self, tables: dict[str, pd.DataFrame], pairs: pd.DataFrame) -> pd.DataFrame:
        """`pairs` with P(click) by the features and the model in the package, and its error if the policy uses it."""
        folder = self.folder / "model"
        with reading_champion(self.model, self.version):
            features = FeatureModel.from_files(files_in(folder / "features"))
            model = CalibratedModel.from_files(files_in(folder / "interest"))
        built = build_features(features, tables, FeaturesConfig())
        return score_pairs(model, built, pairs, errors=self.package.parameters.errors)


def read_champion(paths: Paths) -> RegisteredPolicy | None:
    """The deployed policy in the champion's snapshot; None without a champion.

    UserError, before any file is read, if the files are not the registered and signed ones; UserError too, with what to
    do, if they have the layout of an earlier release.
    """
    if not paths.champion.exists() and not paths.champion_record.exists():
        return None
    record = _checked_record(paths)
    return registered_policy(paths.champion, record)


def registered_policy(folder: UPath, record: Mapping) -> RegisteredPolicy:
    """The policy in `folder`, whose files were checked. record: as in the champion's snapshot (RECORD).

    UserError, with what to do, if the files have the layout of an earlier release.
    """
    name, version = record["model"], record["version"]
    with reading_champion(name, version):
        package = read_package(folder)
    acts = record["acts"] or package.parameters.forms[0]
    return RegisteredPolicy(logging_policy_name(record["package"]), package, acts, folder, name, version)


def read_package(folder: UPath) -> PolicyPackage:
    """The policy's package in `folder`, without its models."""
    return PolicyPackage.from_files({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})


def ads_of(package: UPath) -> dict[str, dict[str, str]]:
    """creative_id and size of each ad in `package`, by file name.

    Older packages have one ad per creative, in ads.json without a size or in a file named after the creative.
    """
    names, folder = package / "pool" / "ads.json", package / "pool" / "ads"
    if names.exists():
        ads = read_json(names)
    else:
        ads = {ad.name: ad.stem for ad in sorted(folder.glob("*.png"))} if folder.exists() else {}
    return {name: {"creative_id": ad, "size": "300x250"} if isinstance(ad, str) else ad for name, ad in ads.items()}


def _checked_record(paths: Paths) -> dict:
    """The record of the snapshot, after a check that its files are those of the record."""
    record = read_json(paths.champion_record) if paths.champion_record.exists() else {}
    is_whole = isinstance(record, dict) and record.keys() >= RECORD and paths.champion.exists()
    if not is_whole or record["package"] != digest_package(paths.champion):
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
