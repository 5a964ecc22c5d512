"""A policy's package small enough to be read at a glance."""

from pathlib import Path

import numpy as np
import pandas as pd

from components.policies.decision_table import ANY, CELL
from components.policies.policy_package import PolicyPackage, PolicyParameters

PARAMETERS = PolicyParameters(
    forms=("table", "per_shopper"),
    temperatures={"table": 0.05, "per_shopper": 0.1},
    policy="chi_square",
    policy_settings={},
    exploration=0.1,
    new_share=0.2,
    learned_until=1_767_225_600_000_000,  # 1 January 2026
)


def rows(cells: dict[tuple[str, str, str], dict[str, float]]) -> pd.DataFrame:
    """(segment, placement, campaign) -> creative -> probability, as the rows of a decision table."""
    listed = [(*cell, creative, share, 10) for cell, shares in cells.items() for creative, share in shares.items()]
    return pd.DataFrame(listed, columns=[*CELL, "creative_id", "probability", "impressions"])


def catalogue(campaigns: dict[str, str], new: tuple[str, ...] = (), preference: float = 0.0) -> pd.DataFrame:
    """Creative -> campaign; always active."""
    never = pd.Series([pd.NaT] * len(campaigns), dtype="datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "creative_id": list(campaigns),
            "campaign": list(campaigns.values()),
            "active_from": never,
            "active_until": never,
            "new": [name in new for name in campaigns],
            "preference": np.full(len(campaigns), preference),
        }
    )


def package(first: float = 0.75, new: tuple[str, ...] = ()) -> PolicyPackage:
    """Campaign c with creatives a, b and maybe new ones; s1 is of segment 0, whose cell gives a the share `first`."""
    decisions = rows(
        {
            ("0", "top", "c"): {"a": first, "b": 1 - first},
            (ANY, "top", "c"): {"a": 0.5, "b": 0.5},
            (ANY, ANY, "c"): {"a": 0.4, "b": 0.6},
        }
    )
    segments = pd.DataFrame({"shopper_id": ["s1"], "segment": ["0"]})
    return PolicyPackage(
        PARAMETERS, decisions, segments, catalogue({"a": "c", "b": "c"} | dict.fromkeys(new, "c"), new)
    )


def write(folder: Path, policy: PolicyPackage) -> None:
    """The package's files, and a model's place, in `folder`."""
    for name, content in {**policy.files(), "model/interest/calibration.json": b"{}"}.items():
        (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / name).write_bytes(content)
