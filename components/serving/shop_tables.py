"""What a server knows of the shop: its creatives, campaigns and products, who refused consent, and the context columns.

It is read from the data set's folder once; a champion adds the creatives and images of its pool.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from upath import UPath

from components.contract.card import DatasetCard, read_card
from components.contract.files.tables import has_table, open_columns, read_table
from components.policies.active_times import within_campaigns

TABLES = ("campaigns", "creatives")
OPTIONAL = ("products", "images", "shoppers")
CONTEXT = "context_"


@dataclass(frozen=True)
class ShopTables:
    """tables: those of the contract that describe ads and shoppers. consenting: ids of the shoppers who may be known;
    None: the data set has no table `shoppers`, so all are. context: `context_*` columns of the log -> `text`, `number`
    or `flag`.
    """

    card: DatasetCard
    tables: Mapping[str, pd.DataFrame]
    consenting: frozenset[str] | None
    context: Mapping[str, str]

    def may_know(self, shopper_id: str | None) -> bool:
        """Whether decisions for this shopper may use a shopper's segment and history."""
        return shopper_id is not None and (self.consenting is None or shopper_id in self.consenting)

    @property
    def catalogue(self) -> pd.DataFrame:
        """creative_id, campaign, active_from, active_until: when both a creative and its campaign are active."""
        columns = ["creative_id", "campaign", "active_from", "active_until"]
        return within_campaigns(self.tables["creatives"][columns], self.tables["campaigns"])


def read_shop(folder: UPath) -> ShopTables:
    """What is known of the shop whose data set is in `folder`. UserError names a table that cannot be read."""
    card = read_card(folder)
    names = [*TABLES, *(name for name in OPTIONAL if has_table(folder, name))]
    tables = {name: read_table(folder, name) for name in names}
    consenting = None
    if "shoppers" in tables:
        shoppers = tables["shoppers"]
        consenting = frozenset(shoppers.loc[shoppers["consent"].astype(bool), "shopper_id"])
    return ShopTables(card, tables, consenting, open_columns(folder, "impressions"))
