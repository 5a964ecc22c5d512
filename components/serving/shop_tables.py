"""What a server knows of the shop: its creatives, campaigns and products, who refused consent, and the context columns.

It is read from the data set's folder, anew when a file of it has changed; a champion adds the creatives and images of
its pool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from upath import UPath

from components.contract.card import DatasetCard, read_card
from components.contract.files.tables import files_of, has_table, open_columns, read_table
from components.interest.reasons import CHINESE, ENGLISH
from components.policies.active_times import within_campaigns
from components.policies.campaign_limits import CampaignTerms, campaign_terms
from components.settings.errors import UserError

TABLES = ("campaigns", "creatives")
OPTIONAL = ("products", "images", "shoppers")
TRIES = 3  # to read files that change while they are read
FileStates = tuple[tuple[str, str], ...]  # path of each file, and a hash of its size, time of change and the like
CONTEXT = "context_"


@dataclass(frozen=True)
class ShopTables:
    """tables: those of the contract that describe ads and shoppers. consenting: ids of the shoppers who may be known;
    None: the data set has no table `shoppers`, so all are. context: `context_*` columns of the log -> `text`, `number`
    or `flag`. terms, languages (`en` or `zh`): of each campaign. files: that were read, as they were.
    """

    card: DatasetCard
    tables: Mapping[str, pd.DataFrame]
    consenting: frozenset[str] | None
    context: Mapping[str, str]
    terms: Mapping[str, CampaignTerms] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=dict)
    files: FileStates = ()

    def may_know(self, shopper_id: str | None) -> bool:
        """Whether decisions for this shopper may use a shopper's segment and history."""
        return shopper_id is not None and (self.consenting is None or shopper_id in self.consenting)

    @property
    def catalogue(self) -> pd.DataFrame:
        """creative_id, campaign, active_from, active_until: when both a creative and its campaign are active."""
        return self.active(self.tables["creatives"])

    def active(self, creatives: pd.DataFrame) -> pd.DataFrame:
        """`catalogue` of `creatives`, which are the shop's and maybe a pool's; without those of unknown campaigns."""
        campaigns = self.tables["campaigns"]
        known = creatives[creatives["campaign"].isin(campaigns["campaign"])]
        columns = ["creative_id", "campaign", "active_from", "active_until"]
        return within_campaigns(known.reindex(columns=columns), campaigns)


def read_shop(folder: UPath) -> ShopTables:
    """What is known of the shop whose data set is in `folder`. UserError names a table that cannot be read."""
    folder = UPath(folder)
    for _ in range(TRIES):
        files = _files(folder)
        shop = _read(folder, files)
        if _files(folder) == files:
            return shop
    raise UserError(f"{folder}: its files changed while they were read")


def current_shop(shop: ShopTables, folder: UPath) -> ShopTables:
    """`shop` itself if no file that was read has changed since, else what is in `folder` now. UserError as above."""
    folder = UPath(folder)
    return shop if _files(folder) == shop.files else read_shop(folder)


def _read(folder: UPath, files: FileStates) -> ShopTables:
    tables = {name: read_table(folder, name) for name in _names(folder)}
    consenting = None
    if "shoppers" in tables:
        shoppers = tables["shoppers"]
        consenting = frozenset(shoppers.loc[shoppers["consent"].astype(bool), "shopper_id"])
    campaigns = tables["campaigns"]
    languages = {
        campaign: CHINESE if locale.startswith(CHINESE) else ENGLISH
        for campaign, locale in zip(campaigns["campaign"], campaigns["locale"], strict=True)
    }
    context, terms = open_columns(folder, "impressions"), campaign_terms(campaigns)
    return ShopTables(read_card(folder), tables, consenting, context, terms, languages, files)


def _names(folder: UPath) -> list[str]:
    return [*TABLES, *(name for name in OPTIONAL if has_table(folder, name))]


def _files(folder: UPath) -> FileStates:
    folder.fs.invalidate_cache()  # of listings of an object store
    found = [folder / "dataset.yaml", *(file for name in _names(folder) for file in files_of(folder, name))]
    try:
        return tuple((str(file), file.fs.ukey(file.path)) for file in found)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: a file has gone ({error})") from None
