"""More days of a simulated marketplace on disk: new partitions, late conversions, a later end of the log.

Existing files do not change, except `creatives` and `images`, to which new creatives are added, and the card. All
changes are applied together, or none.
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
class ShopPolicy:
    """The policy that shows the ads.

    name: in the column logging_policy. decide: its probabilities. pool: its new creatives and images in the contract's
    columns; empty if it has none.
    """

    name: str
    decide: ProbabilityFunction
    pool: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class AdvanceSummary:
    """The new days of a data set: the policy that chose, the new end of the log, and numbers of new rows."""

    name: str
    policy: str
    ends_at: pd.Timestamp
    impressions: int
    clicks: int
    new_creatives: int
    settled: int


def advance(name: str, data_folder: UPath, days: int, champion: ShopPolicy | None) -> AdvanceSummary:
    """Add `days` days to data set `name`; ads are chosen by `champion`, or else by the shop's logging policy."""
    folder = UPath(data_folder) / check_dataset_name(name)
    if days < 1:
        raise UserError(f"--days {days}: write 1 day or more")
    recover_folder(folder)
    if not (folder / CARD_FILE).is_file():
        raise UserError(f"{name}: no data set in {folder}; `adloom data build {name}` builds a simulated one")
    _require_simulated(folder)
    tables, card = load_dataset(folder)
    start = pd.Timestamp(card.ends_at)
    _require_campaigns(tables["campaigns"], start + days * pd.Timedelta(DAY), days)
    extended = tables if champion is None else _with_pool(tables, champion, start)
    market = reopen_market(card.simulator, load_scenario(card.simulator.scenario), extended)
    policy = market.policy if champion is None else DeployedPolicy(market, champion.decide)
    policy_name = market.policy.name if champion is None else champion.name
    continuation = continue_log(market, extended, start, days, policy=policy, policy_name=policy_name)
    changed = {table: extended[table] for table in POOL if len(extended[table]) > len(tables[table])}
    extend_dataset(folder, continuation.logs, changed, continuation.settled, _with_end(card, continuation.ends_at))
    return AdvanceSummary(
        name=name,
        policy=policy_name,
        ends_at=continuation.ends_at,
        impressions=len(continuation.logs["impressions"]),
        clicks=int(continuation.logs["impressions"]["click"].sum()),
        new_creatives=len(extended["creatives"]) - len(tables["creatives"]),
        settled=len(continuation.settled),
    )


def _require_simulated(folder: UPath) -> None:
    card = read_card(folder)
    if card.simulator is None:
        raise UserError(f"{card.name}: real data; only a simulated marketplace can be continued")


def _require_campaigns(campaigns: pd.DataFrame, ends_at: pd.Timestamp, days: int) -> None:
    last = campaigns["ends_at"].min()
    if ends_at > last:
        raise UserError(f"--days {days}: the log would end on {ends_at:%Y-%m-%d}, but campaigns end on {last:%Y-%m-%d}")


def _with_pool(
    tables: Mapping[str, pd.DataFrame], champion: ShopPolicy, start: pd.Timestamp
) -> dict[str, pd.DataFrame]:
    """The tables with the champion's new creatives that they lack, active from `start`, and their images."""
    if not champion.pool:
        return dict(tables)
    pool, creatives, images = champion.pool["creatives"], tables["creatives"], tables["images"]
    new = pool[~pool["creative_id"].isin(set(creatives["creative_id"]))].assign(active_from=start)
    if new.empty:
        return dict(tables)
    missing = set(new["image_id"]) - set(images["image_id"])
    new_images = champion.pool["images"]
    new_images = new_images[new_images["image_id"].isin(missing)]
    return {
        **tables,
        "creatives": pd.concat([creatives, new], ignore_index=True)[list(creatives.columns)],
        "images": pd.concat([images, new_images], ignore_index=True)[list(images.columns)],
    }


def _with_end(card: DatasetCard, ends_at: pd.Timestamp) -> DatasetCard:
    return card.model_copy(update={"ends_at": ends_at.to_pydatetime()})
