"""Views and clicks that are rows of their own -> impressions with `click`, `conversion` and `revenue`.

A click belongs to the impression of its id. Without common ids it belongs to the last view of this creative by this
shopper, at most half an hour before. Clicks that belong to no view are counted.
"""

from collections.abc import Sequence

from components.contract.schema import TABLES
from components.datasets.importing.cell_expressions import SQL_TYPE
from components.datasets.importing.contract_views import ContractTables
from components.datasets.importing.conversion import Converted
from components.datasets.importing.staging.reading import ROW
from components.settings.errors import UserError

SHOWN = ("impressions", "views_and_clicks")
WITHIN = "INTERVAL 30 MINUTES"
MARK = ("impression_id", "timestamp", "shopper_id", "creative_id", "conversion_timestamp", "revenue")


def join_marks(tables: ContractTables, converted: Sequence[Converted]) -> None:
    """Set `click` and `conversion` of the impressions by the rows of other files, where any mark them."""
    clicks = _marks(tables, "clicks", [part for part in converted if part.role == "clicks"], converted, "click")
    conversions = _marks(
        tables, "conversions", [part for part in converted if part.role == "conversions"], converted, "conversion"
    )
    if "impressions" not in tables.present:
        if clicks or conversions:
            raise UserError("clicks and conversions need the impressions that they belong to in the same import")
        return
    known, rows = tables.one(f"SELECT count(click), count(*) FROM {tables.view('impressions')}")
    if clicks is not None:
        _match(tables, "clicks", clicks)
        _set(tables, "click", "CASE WHEN m.impression_id IS NOT NULL THEN 1 ELSE coalesce(i.click, 0) END", "clicks")
    elif known == 0:
        columns = ", ".join(dict.fromkeys(c for part in converted if part.role in SHOWN for c in part.table.columns))
        raise UserError(
            f"impressions: no column says which were clicked ({columns}), and no file of clicks is given; "
            "call such a column `click`, with 1 or 0 for each creative"
        )
    elif known < rows:
        tables.notes.append(f"{rows - known:,} impressions say nothing of a click and go to quarantine")
    if conversions:
        _match(tables, "conversions", conversions)
        values = (
            "CASE WHEN m.impression_id IS NOT NULL THEN 1 ELSE 0 END AS conversion, "
            "coalesce(i.conversion_timestamp, m.at) AS conversion_timestamp, coalesce(i.revenue, m.revenue) AS revenue"
        )
        _set(tables, None, values, "conversions")
    _say_if_all_are_clicked(tables)
    _conversions_of_clicks(tables)


def _say_if_all_are_clicked(tables: ContractTables) -> None:
    rows, clicked = tables.one(f"SELECT count(*), count(*) FILTER (click = 1) FROM {tables.view('impressions')}")
    if rows > 1 and rows == clicked:
        tables.notes.append(f"all {rows:,} impressions are clicked: are those without a click in another file?")


def _path(part: Converted) -> str:
    return "'" + str(part.parquet).replace("'", "''") + "'"


def _marks(
    tables: ContractTables, name: str, parts: Sequence[Converted], converted: Sequence[Converted], kind: str
) -> int | None:
    """Make the table `marks_<name>` of the rows that mark impressions; how many. None: no file has such rows."""
    sources = [(part, "") for part in parts]
    sources += [(part, f" WHERE kind = '{kind}'") for part in converted if part.role == "views_and_clicks"]
    if not sources:
        return None
    queries = [f"SELECT {_mark_columns(part)} FROM read_parquet({_path(part)}){where}" for part, where in sources]
    tables.connection.execute(f"CREATE TABLE marks_{name} AS {' UNION ALL '.join(queries)}")
    return tables.one(f"SELECT count(*) FROM marks_{name}")[0]


def _mark_columns(part: Converted) -> str:
    types = {column.name: SQL_TYPE[column.kind] for column in TABLES["impressions"].columns}
    shown = [f'"{name}"' if name in part.columns else f'CAST(NULL AS {types[name]}) AS "{name}"' for name in MARK]
    return ", ".join([*shown, f"{ROW} AS mark"])


def _match(tables: ContractTables, name: str, count: int) -> None:
    """Make the table `matched_<name>`: the impression of each mark, by id, else by shopper, creative and time."""
    view = tables.view("impressions")
    sums = 'impression_id, min(coalesce(conversion_timestamp, "timestamp")) AS at, sum(revenue) AS revenue'
    known = f"impression_id IN (SELECT impression_id FROM {view})"
    tables.connection.execute(
        f"CREATE TABLE matched_{name} AS SELECT {sums} FROM marks_{name} WHERE {known} GROUP BY impression_id"
    )
    matched = tables.one(
        f"SELECT count(*) FROM marks_{name} WHERE impression_id IN (SELECT impression_id FROM matched_{name})"
    )[0]
    if matched == 0:
        tables.connection.execute(f"DROP TABLE matched_{name}")
        nearest = (
            f'SELECT i.impression_id, m."timestamp", m.conversion_timestamp, m.revenue FROM marks_{name} m '
            f"ASOF JOIN {view} i ON m.shopper_id = i.shopper_id AND m.creative_id = i.creative_id "
            f'AND m."timestamp" >= i."timestamp" WHERE m."timestamp" - i."timestamp" <= {WITHIN}'
        )
        tables.connection.execute(
            f"CREATE TABLE matched_{name} AS SELECT {sums} FROM ({nearest}) GROUP BY impression_id"
        )
        matched = tables.one(f"SELECT count(*) FROM ({nearest})")[0]
        if matched:
            tables.notes.append(
                f"{name} have no ids in common with the views: each belongs to the last view of its creative by its "
                "shopper, at most 30 minutes before"
            )
    if matched == 0 and count:
        raise UserError(
            f"the files disagree: none of {count:,} {name} belongs to an impression, by id or by shopper, creative and "
            "time"
        )
    if matched < count:
        tables.notes.append(f"{count - matched:,} of {count:,} {name} belong to no impression and are left out")


def _set(tables: ContractTables, column: str | None, value: str, name: str) -> None:
    replaced = f"{value} AS {column}" if column else value
    tables.replace(
        "impressions",
        f"SELECT i.* REPLACE ({replaced}) FROM {tables.current('impressions')} i LEFT JOIN matched_{name} m USING "
        "(impression_id)",
    )


def _conversions_of_clicks(tables: ContractTables) -> None:
    """Conversions as the contract has them: 0 without a click or where nothing is said; where a file has any."""
    view = tables.view("impressions")
    known, unclicked = tables.one(
        f"SELECT count(conversion), count(*) FILTER (conversion = 1 AND click = 0) FROM {view}"
    )
    if not known:
        return
    if unclicked:
        tables.notes.append(f"{unclicked:,} conversions without a click are left out: a conversion is one of a click")
    converted = "click = 1 AND coalesce(conversion, 0) = 1"
    tables.replace(
        "impressions",
        f"SELECT * REPLACE (CASE WHEN {converted} THEN 1 ELSE 0 END AS conversion, CASE WHEN {converted} THEN "
        f"conversion_timestamp END AS conversion_timestamp, CASE WHEN {converted} THEN revenue END AS revenue) "
        f"FROM {tables.current('impressions')}",
    )
