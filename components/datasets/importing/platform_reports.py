"""Daily reports of an advertising platform -> creatives with a prior click rate.

Such a report has sums of a creative's impressions and clicks and no shoppers. It tells what a creative earned on
average, which is a feature of the creative from the day after the report on, and nothing of whom to show it to.
"""

from collections.abc import Sequence

from components.contract.schema import TABLES
from components.datasets.importing.cell_expressions import SQL_TYPE
from components.datasets.importing.contract_views import ContractTables
from components.datasets.importing.conversion import Converted
from components.datasets.importing.staging.reading import ROW
from components.settings.errors import UserError

RATE, SHOWN = "feature_prior_rate", "feature_prior_impressions"
CANNOT = (
    "a report has sums and no shoppers: it gives each creative its click rate so far, known from the day after it; it "
    "cannot teach who likes what, estimate what another choice would have earned, or judge a policy"
)


def add_reports(tables: ContractTables, converted: Sequence[Converted]) -> None:
    """Give the creatives the rates of the reports, whose creatives they are where no others are given."""
    parts = [part for part in converted if part.role == "report"]
    if not parts:
        return
    for part in parts:
        if "creative_id" not in part.columns:
            raise UserError(f"{part.table.place}: the report has no column of creatives; export it by creative (ad)")
    tables.connection.execute(f"CREATE TABLE report AS {' UNION ALL '.join(_rows(part) for part in parts)}")
    wrong = tables.one("SELECT creative_id, clicks, impressions FROM report WHERE clicks > impressions LIMIT 1")
    if wrong:
        raise UserError(f"report: creative {wrong[0]} has {wrong[1]:,.0f} clicks of {wrong[2]:,.0f} impressions")
    if "creatives" not in tables.present:
        _creatives_of_report(tables)
    rates = (
        f"SELECT creative_id, sum(clicks) / nullif(sum(impressions), 0) AS {RATE}, "
        f"CAST(sum(impressions) AS DOUBLE) AS {SHOWN}, date_trunc('day', max(day)) + INTERVAL 1 DAY AS known "
        "FROM report GROUP BY creative_id"
    )
    tables.replace(
        "creatives",
        f"SELECT c.* REPLACE (coalesce(c.features_from, r.known) AS features_from), r.{RATE}, r.{SHOWN} "
        f"FROM {tables.current('creatives')} c LEFT JOIN ({rates}) r USING (creative_id)",
    )
    tables.notes.append(CANNOT)
    if "impressions" not in tables.present:
        tables.notes.append("no impressions: `adloom run` needs a log with shoppers, import one into the same data set")


def _rows(part: Converted) -> str:
    types = {name: "VARCHAR" for name in ("creative_id", "campaign", "headline")}
    types |= {"day": "TIMESTAMPTZ", "impressions": "BIGINT", "clicks": "BIGINT"}
    shown = [
        f'"{name}"' if name in part.columns else f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items()
    ]
    path = str(part.parquet).replace("'", "''")
    return f"SELECT {', '.join(shown)} FROM read_parquet('{path}') WHERE creative_id IS NOT NULL"


def _creatives_of_report(tables: ContractTables) -> None:
    known = {
        "creative_id": "creative_id",
        "campaign": "coalesce(any_value(campaign), 'all')",
        "origin": "'people'",
        "headline": "any_value(headline)",
    }
    several = tables.one(
        "SELECT creative_id FROM report GROUP BY creative_id HAVING min(campaign) <> max(campaign) ORDER BY 1 LIMIT 1"
    )
    if several:
        known["campaign"] = "'all'"
        tables.notes.append(f"creative {several[0]} and others are in several campaigns: all are put into one, `all`")
    declared = TABLES["creatives"].columns
    shown = [f'{known.get(c.name, f"CAST(NULL AS {SQL_TYPE[c.kind]})")} AS "{c.name}"' for c in declared]
    tables.replace(
        "creatives", f"SELECT {', '.join(shown)}, 'report' AS _file, 0 AS {ROW} FROM report GROUP BY creative_id"
    )
    tables.present.append("creatives")
    tables.derived.add("creatives")
