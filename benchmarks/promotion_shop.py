"""A test registry for the promotion benchmarks: small policies, and decisions about them that pass or fail."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from components.evaluation.gate.evidence import GateEvidence
from components.evaluation.gate.ledger import share_of
from components.evaluation.gate.lift_bound import LiftRows, lift_sums
from components.evaluation.rewards import REWARDS
from components.policies.decision_table import ANY, CELL
from components.policies.policy_package import PolicyPackage, PolicyParameters
from components.registry.decision import Decision, Evidence, Gate, decide
from components.registry.mlflow_store import ModelRecord, Version, register
from components.registry.promotion import charge
from components.settings.environment import defaults
from components.settings.sections import PromotionConfig

ROWS = 20_000
PASSED = Gate(True, ("calibrated",))


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set these variables, and Adloom's defaults for others that are not set, within the context."""
    before = dict(os.environ)
    for name, value in defaults(Path(values["ADLOOM_STATE"])).items():
        os.environ.setdefault(name, value)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def policy(first: float) -> PolicyPackage:
    """A policy for one campaign with the creatives a and b; it shows a to segment 0 with probability `first`."""
    cells = [("0", first), (ANY, 0.5)]
    rows = [(cell, "top", "c", name, share, 10) for cell, a in cells for name, share in (("a", a), ("b", 1 - a))]
    decisions = pd.DataFrame(rows, columns=[*CELL, "creative_id", "probability", "impressions"])
    never = pd.Series([pd.NaT] * 2, dtype="datetime64[us, UTC]")
    catalogue = pd.DataFrame(
        {
            "creative_id": ["a", "b"],
            "campaign": "c",
            "active_from": never,
            "active_until": never,
            "new": False,
            "preference": 0.0,
        }
    )
    acting = PolicyParameters(
        forms=("table", "per_shopper"),
        temperatures={"table": 0.05, "per_shopper": 0.1},
        policy="chi_square",
        policy_settings={},
        exploration=0.1,
        new_share=0.2,
        learned_until=0,
    )
    return PolicyPackage(acting, decisions, pd.DataFrame({"shopper_id": ["s1"], "segment": ["0"]}), catalogue)


def enter(client, name: str, folder: Path, first: float) -> Version:
    """Register `policy(first)` as a version of `name`; its files are written to `folder`."""
    files: Mapping[str, bytes] = {**policy(first).files(), "model/interest/calibration.json": b"{}"}
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return register(client, ModelRecord(name, folder, lambda: f"file://{folder}", name.removesuffix("-policy"), "0"))


@cache
def _bound(gain: float) -> Mapping:
    """The gate evidence of a simulated log on which the target's true reward per impression is higher by `gain`."""
    random = np.random.default_rng(0)
    first = random.random(ROWS) < 0.5  # of two actions with propensity 0.5; the target's probability is 0.9
    reward = (random.random(ROWS) < 0.5 + gain / 0.8 * np.where(first, 1, -1)).astype(float)
    rows = LiftRows.from_weights(np.where(first, 1.8, 0.2), np.ones(ROWS), reward)
    (sums,) = lift_sums(rows, np.array([ROWS]))
    return GateEvidence(sums, (), 1.0, ROWS, ()).to_dict()


def judge(client, candidate: Version, champion: str | None, passes: bool, log: str = "") -> Decision:
    """Charge the ledger for the comparison of `candidate` with the package `champion` on `log`, and decide it."""
    gain = 0.2 if passes else 0.0
    lift = {"value": gain, "ci_low": gain - 0.01, "ci_high": gain + 0.01}
    evaluation = {"verdict": "trust", "lift": lift, "reasons": [], "selected": "dr"}
    assessed = {"logging_policy": "shop", "evaluation": evaluation, "sample_sizes": None}
    form = {"form": "table", "logs": [assessed], "gate": _bound(gain), "critical_findings": []}
    digest, config = candidate.tags["package_digest"], PromotionConfig()
    question = f"{log}{digest[:16]} against {(champion or 'none')[:16]}"
    alpha = share_of(config.alpha, charge(client, candidate.name, question).index(question))
    return decide(Evidence(PASSED, None, False, (form,), question, alpha, digest, champion, REWARDS["click"]), config)
