"""A run's exported decisions and the package behind them -> what the simulated shop needs to act on them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from upath import UPath

from components.contract.tables import read_frame, read_json
from components.errors import UserError
from components.manifest import digest_file
from components.paths import Paths

DECISIONS = "decisions.parquet"
POOL = ("creatives", "images")


@dataclass(frozen=True)
class Champion:
    """The policy that shows the ads. `decisions`: segment, placement, campaign, creative_id, probability; `exploration`
    in [0, 1]; `pool`: its new creatives and images in the contract's columns, empty where it has none; `features`: its
    feature model's files, which say what its segments are."""

    name: str
    decisions: pd.DataFrame
    exploration: float
    pool: Mapping[str, pd.DataFrame]
    features: Mapping[str, bytes]


def read_champion(paths: Paths) -> Champion | None:
    """The champion as the last run exported it; None where no run has.

    UserError where the package that the export came from is gone.
    """
    if not (paths.export / "manifest.json").exists():
        return None
    manifest = read_json(paths.export / "manifest.json")
    package = _package(paths, manifest["files"][DECISIONS])
    pool = {name: read_frame(package / "pool" / f"{name}.parquet") for name in POOL if (package / "pool").exists()}
    return Champion(
        name=f"champion-{manifest['policy_version']}",
        decisions=read_frame(package / DECISIONS),
        exploration=float(read_json(package / "policy.json")["exploration"]),
        pool=pool,
        features={file.name: file.read_bytes() for file in (package / "model" / "features").iterdir()},
    )


def _package(paths: Paths, decisions: str) -> UPath:
    for package in (paths.stage("promotion") / "policy", paths.champion):
        if (package / DECISIONS).exists() and digest_file(package / DECISIONS) == decisions:
            return package
    raise UserError(
        f"{paths.export}: the champion that exported these decisions is no longer in {paths.artifacts}; "
        f"`adloom run {paths.artifacts.name}` brings it back"
    )
