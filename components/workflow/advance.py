"""A marketplace on disk -> the same one some days on: new partitions, late conversions, a later end of the log.

What is there stays as it is to the byte, but for `creatives`, `images` (which new creatives join) and the card. All of
it takes its place at once, or none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from upath import UPath

from components.contract.card import CARD_FILE, DatasetCard, read_card
from components.contract.files.atomic_files import recover_folder
from components.contract.validation.validate import load_dataset
from components.datasets.dataset_files import extend_dataset
from components.settings.errors import UserError
from components.settings.file_names import check_dataset_name
from components.simulator import load_scenario
from components.simulator.catalogue import DAY
from components.simulator.continue_simulation import continue_log
from components.simulator.decision_table_policy import DeployedPolicy, ProbabilityFunction
from components.simulator.market import reopen_market

POOL = ("creatives", "images")


@dataclass(frozen=True)
class Champion:
    """The policy that shows the ads: the name that its log bears, what it decides, and its new creatives and images
    in the contract's columns (empty where it has none)."""

    name: str
    decide: ProbabilityFunction
    pool: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Advanced:
    """How a data set went on: by whose choice, until when, and how many rows came."""

    name: str
    policy: str
    ends_at: pd.Timestamp
    impressions: int
    clicks: int
    new_creatives: int
    settled: int


def advance(name: str, data_folder: UPath, days: int, champion: Champion | None) -> Advanced:
    """`days` more days of data set `name`, shown by `champion`, or without one by the shop's own logging policy."""
    folder = UPath(data_folder) / check_dataset_name(name)
    if days < 1:
        raise UserError(f"--days {days}: write 1 day or more")
    recover_folder(folder)
    if not (folder / CARD_FILE).is_file():
        raise UserError(f"{name}: no data set in {folder}; `adloom data build {name}` makes those that can go on")
    _require_world(folder)
    tables, card = load_dataset(folder)
    ended = pd.Timestamp(card.ends_at)
    _require_campaigns(tables["campaigns"], ended + days * pd.Timedelta(DAY), days)
    joined = tables if champion is None else _join(tables, champion, ended)
    market = reopen_market(card.simulator, load_scenario(card.simulator.scenario), joined)
    policy = market.policy if champion is None else DeployedPolicy(market, champion.decide)
    policy_name = market.policy.name if champion is None else champion.name
    continuation = continue_log(market, joined, ended, days, policy=policy, policy_name=policy_name)
    whole = {name: joined[name] for name in POOL if len(joined[name]) > len(tables[name])}
    extend_dataset(folder, continuation.logs, whole, continuation.settled, _moved(card, continuation.ends_at))
    return Advanced(
        name=name,
        policy=policy_name,
        ends_at=continuation.ends_at,
        impressions=len(continuation.logs["impressions"]),
        clicks=int(continuation.logs["impressions"]["click"].sum()),
        new_creatives=len(joined["creatives"]) - len(tables["creatives"]),
        settled=len(continuation.settled),
    )


def _require_world(folder: UPath) -> None:
    card = read_card(folder)
    if card.simulator is None:
        raise UserError(f"{card.name}: real data; only a simulated marketplace can be made to go on")


def _require_campaigns(campaigns: pd.DataFrame, ends_at: pd.Timestamp, days: int) -> None:
    last = campaigns["ends_at"].min()
    if ends_at > last:
        raise UserError(f"--days {days}: the log would end on {ends_at:%Y-%m-%d}, but campaigns end on {last:%Y-%m-%d}")


def _join(tables: Mapping[str, pd.DataFrame], champion: Champion, start: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Tables with those new creatives of the champion that are not there yet, active from `start`."""
    if not champion.pool:
        return dict(tables)
    pool, there = champion.pool["creatives"], tables["creatives"]
    new = pool[~pool["creative_id"].isin(set(there["creative_id"]))].assign(active_from=start)
    images = champion.pool["images"]
    pictures = images[images["image_id"].isin(set(new["image_id"]) - set(tables["images"]["image_id"]))]
    if new.empty:
        return dict(tables)
    return {
        **tables,
        "creatives": pd.concat([there, new], ignore_index=True)[list(there.columns)],
        "images": pd.concat([tables["images"], pictures], ignore_index=True)[list(tables["images"].columns)],
    }


def _moved(card: DatasetCard, ends_at: pd.Timestamp) -> DatasetCard:
    return card.model_copy(update={"ends_at": ends_at.to_pydatetime()})
