"""The tables of the data contract: columns, keys and references. Rules on values are in expectations/.

A column's kind determines its type in Parquet and in pandas:

    kind        Parquet               pandas                what it holds
    text        string                str                   ids and texts
    timestamp   timestamp[us, UTC]    datetime64[us, UTC]   a clock time; a naive one is an error
    number      double                float64               money, propensities, seconds; NaN where null
    whole       int64                 int64 (1)             counts, positions, 0/1 flags
    flag        bool                  bool (1)              true or false
    bytes       binary                object                an encoded image

(1) `Int64` and `boolean` if the contract lets the column be null, or if a faulty table holds nulls.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

# what a shopper did; expectations/events.json and datasets/importing/column_names.yaml list the same words
EVENT_KINDS = ("view", "click", "search", "like", "comment", "share", "review", "cart", "purchase")

Kind = Literal["text", "timestamp", "number", "whole", "flag", "bytes"]

ARROW: dict[Kind, pa.DataType] = {
    "text": pa.large_string(),  # as in pandas, so no casts; 32-bit offsets would also limit a column to 2 GiB of text
    "timestamp": pa.timestamp("us", "UTC"),
    "number": pa.float64(),
    "whole": pa.int64(),
    "flag": pa.bool_(),
    "bytes": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """One column: its kind, whether values may be null, and the table that its values refer to.

    A column that may be null may also be absent, which counts as all null. null_throughout: no value may be null,
    unless all are.
    """

    name: str
    kind: Kind = "text"
    nullable: bool = False
    references: str | None = None
    null_throughout: bool = False


@dataclass(frozen=True)
class Table:
    """One table: its columns, the columns of its key, and the prefixes of open columns, which a user may add.

    open_numbers: name of an open column that must be numeric -> what it holds.
    """

    name: str
    needed: bool
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    open_prefixes: tuple[str, ...] = ()
    open_numbers: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> Column | None:
        """The declared column called `name`; None for any other name, open columns included."""
        return next((column for column in self.columns if column.name == name), None)

    def is_open(self, name: str) -> bool:
        """Whether `name` is an open column, under a prefix such as `feature_`."""
        return any(name.startswith(prefix) and name != prefix for prefix in self.open_prefixes)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Declared columns that may not be absent and are not in `names`, in the contract's order."""
        present = set(names)
        return [column.name for column in self.columns if column.name not in present and not column.nullable]


def _null(name: str, kind: Kind = "text", references: str | None = None) -> Column:
    return Column(name, kind, nullable=True, references=references)


_CAMPAIGNS = Table(
    name="campaigns",
    needed=True,
    key=("campaign",),
    columns=(
        Column("campaign"),
        Column("advertiser_id"),
        Column("objective"),
        Column("starts_at", "timestamp"),
        Column("ends_at", "timestamp"),
        Column("billing"),
        Column("locale"),
        _null("budget", "number"),
        _null("bid", "number"),
        _null("frequency_cap", "whole"),  # impressions per shopper and day
        _null("brand_color"),
    ),
)

_CREATIVES = Table(
    name="creatives",
    needed=True,
    key=("creative_id",),
    columns=(
        Column("creative_id"),
        Column("campaign", references="campaigns"),
        Column("origin"),  # `people`, or a generator's name and version
        _null("active_from", "timestamp"),
        _null("active_until", "timestamp"),
        _null("product_id", references="products"),
        _null("image_id", references="images"),
        _null("template"),
        _null("headline"),
        _null("call_to_action"),
        _null("palette"),
        _null("seed", "whole"),
        _null("conditions"),  # JSON
        _null("body"),
        _null("design"),  # JSON
        _null("features_from", "timestamp"),  # when the row's open columns became known; null: before the log
    ),
    open_prefixes=("feature_",),
)

_IMPRESSIONS = Table(
    name="impressions",
    needed=True,
    key=("impression_id",),
    columns=(
        Column("impression_id"),
        Column("timestamp", "timestamp"),
        Column("shopper_id", references="shoppers"),
        Column("campaign", references="campaigns"),
        Column("position", "whole"),
        Column("creative_id", references="creatives"),
        Column("propensity", "number", null_throughout=True),  # without any, evaluation abstains
        Column("logging_policy"),
        Column("click", "whole"),
        _null("request_id"),
        _null("placement"),
        _null("experiment_id"),
        _null("variant"),
        _null("conversion", "whole"),
        _null("conversion_timestamp", "timestamp"),
        _null("revenue", "number"),
        _null("cost", "number"),
        _null("feedback"),
        _null("keep_probability", "number"),  # share of such rows that a sampled log keeps; null: 1
    ),
    open_prefixes=("context_",),
    open_numbers={"context_local_hour": "the shopper's own hour, from 0 to below 24"},
)

_CANDIDATES = Table(
    name="candidates",
    needed=False,
    key=("impression_id", "creative_id"),
    columns=(
        Column("impression_id", references="impressions"),
        Column("creative_id", references="creatives"),
        Column("propensity", "number"),
    ),
)

_PRODUCTS = Table(
    name="products",
    needed=False,
    key=("product_id",),
    columns=(
        Column("product_id"),
        Column("category"),
        _null("title"),
        _null("brand"),
        _null("description"),
        _null("price", "number"),
        _null("image_id", references="images"),
        _null("features_from", "timestamp"),
    ),
    open_prefixes=("feature_",),
)

_IMAGES = Table(
    name="images",
    needed=False,
    key=("image_id",),
    columns=(
        Column("image_id"),
        Column("image", "bytes"),  # PNG, JPEG, WebP or AVIF
        _null("category"),
        _null("split"),
    ),
)

_EVENTS = Table(
    name="events",
    needed=False,
    key=("event_id",),
    columns=(
        Column("event_id"),
        Column("timestamp", "timestamp"),
        Column("shopper_id", references="shoppers"),
        Column("kind"),
        _null("product_id", references="products"),
        _null("text"),
        _null("dwell_seconds", "number"),
        _null("value", "number"),
        _null("ingested_at", "timestamp"),  # when the row reached the log; a feature knows it from then on
    ),
)

_SHOPPERS = Table(
    name="shoppers",
    needed=False,
    key=("shopper_id",),
    columns=(Column("shopper_id"), Column("consent", "flag"), _null("features_from", "timestamp")),
    open_prefixes=("feature_",),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (_CAMPAIGNS, _CREATIVES, _IMPRESSIONS, _CANDIDATES, _PRODUCTS, _IMAGES, _EVENTS, _SHOPPERS)
}


def arrow_schema(table: str) -> pa.Schema:
    """The Parquet schema of `table`'s declared columns, in the contract's order."""
    return pa.schema([pa.field(column.name, ARROW[column.kind], nullable=True) for column in TABLES[table].columns])
