"""A shop of a few creatives on disk, and champions in a registry, for the tests of the service."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from upath import UPath

from components.contract.card import DatasetCard, write_card
from components.contract.files.tables import write_table
from components.evaluation.gate.ledger import share_of
from components.policies.policy_package import PolicyPackage
from components.registry.decision import decide
from components.registry.mlflow_store import ModelRecord, Version, register, version_of
from components.registry.promotion import CHALLENGER, CHAMPION, apply, charge
from components.settings.sections import PromotionConfig
from tests.components.policies.packages import write
from tests.components.registry.test_decision import evidence, form

NAME = "shop-policy"
LONG_AGO, FAR = (pd.Timestamp(day, tz="UTC") for day in ("2020-01-01", "2100-01-01"))


def times(*values) -> pd.Series:
    return pd.to_datetime(pd.Series(values), utc=True).astype("datetime64[us, UTC]")


def write_shop(folder: Path, with_shoppers: bool = True, **columns) -> UPath:
    """Campaign c with creatives a, b and one that is over; campaign d is over. s1 and s2 consent, s3 refused.

    columns: of the table campaigns.
    """
    campaigns = pd.DataFrame(
        {
            "campaign": ["c", "d"], "advertiser_id": "shop", "objective": "click", "billing": "cpm", "locale": "en",
            "starts_at": times(LONG_AGO, LONG_AGO), "ends_at": times(FAR, "2021-01-01"), **columns,
        }
    )  # fmt: skip
    creatives = pd.DataFrame(
        {
            "creative_id": ["a", "b", "over", "d1"], "campaign": ["c", "c", "c", "d"], "origin": "people",
            "active_until": times(None, None, "2021-01-01", None), "headline": ["New in", "Half price", None, "x"],
            "call_to_action": "Shop now",
        }
    )  # fmt: skip
    tables = {"campaigns": campaigns, "creatives": creatives}
    if with_shoppers:
        tables["shoppers"] = pd.DataFrame({"shopper_id": ["s1", "s2", "s3"], "consent": [True, True, False]})
    place = UPath(folder)
    for name, table in tables.items():
        write_table(table, place / f"{name}.parquet")
    # no impressions yet: what their context columns are is known from a first file
    first = pd.DataFrame({"impression_id": ["i0"], "context_device": ["phone"], "context_local_hour": [12.0]})
    write_table(first, place / "impressions" / "day=2026-01-01" / "part-0.parquet")
    card = DatasetCard(
        name="shop", source="a test", licence="none", real=tuple(tables), simulated=(), currency="EUR",
        conversion_window_days=7, ends_at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    write_card(card, place)
    return place


def registered(client, folder: Path, policy: PolicyPackage | None = None) -> Version:
    """The version with the package in `folder`, which is written first if a policy is given."""
    if policy is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, policy)
    return register(client, ModelRecord(NAME, folder, lambda: f"file://{folder}", "shop", "0" * 64))


def crowned(client, folder: Path, policy: PolicyPackage | None = None, passed: tuple[str, ...] = ("table",)) -> Version:
    """The champion with the package in `folder` (which is written first if a policy is given); `passed`: its forms."""
    candidate = registered(client, folder, policy)
    champion = version_of(client, NAME, CHAMPION)
    digest = champion.tags["package_digest"] if champion else None
    question = f"{candidate.tags['package_digest'][:16]} against {(digest or 'none')[:16]}"
    alpha = share_of(PromotionConfig().alpha, charge(client, NAME, question).index(question))
    asked = evidence(candidate.tags["package_digest"], digest, alpha, question)
    forms = tuple(form(name, gain=0.3 if name in passed else 0.0) for name in ("table", "per_shopper"))
    apply(client, NAME, candidate, decide(replace(asked, forms=forms), PromotionConfig()))
    crown = version_of(client, NAME, CHAMPION)
    assert crown is not None and crown.number == candidate.number
    return crown


def dethrone(client) -> None:
    """Delete the aliases of champion and challenger, if there are any."""
    for alias in (CHAMPION, CHALLENGER):
        if version_of(client, NAME, alias):
            client.delete_registered_model_alias(NAME, alias)
