"""What the contract needs and no file says: campaigns, creatives, propensities of a randomisation.

Whatever is stated here instead of a file is a note that the person reads.
"""

from pathlib import Path

from components.contract.schema import TABLES
from components.datasets.importing import propensities
from components.datasets.importing.cell_expressions import SQL_TYPE
from components.datasets.importing.contract_views import ContractTables
from components.datasets.importing.mapping import Mapping
from components.datasets.importing.sql_text import sql_text
from components.datasets.importing.staging.reading import ROW
from components.settings.errors import UserError


def take_held_creatives(tables: ContractTables, held: Path) -> None:
    """The creatives of earlier imports, where no file of this one has any."""
    known = held / "creatives.parquet"
    if "creatives" in tables.present or "impressions" not in tables.present or not known.exists():
        return
    path = str(known).replace("'", "''")
    tables.replace("creatives", f"SELECT *, 'creatives' AS _file, 0 AS {ROW} FROM read_parquet('{path}')")
    tables.present.append("creatives")
    tables.derived.add("creatives")


def fill_campaigns(tables: ContractTables, place: str) -> None:
    """A campaign that only impressions or only creatives name counts for the others too."""
    stated = {role: _constant_campaign(tables, role) for role in ("impressions", "creatives") if role in tables.present}
    if "creatives" not in stated or stated["impressions"] == stated["creatives"]:
        return
    impressions, creatives = tables.current("impressions"), tables.current("creatives")
    if stated["impressions"] == "all":
        one = f"SELECT creative_id, any_value(campaign) AS campaign FROM {creatives} GROUP BY ALL"
        query = (
            f"SELECT i.* REPLACE (coalesce(c.campaign, i.campaign) AS campaign) FROM {impressions} i "
            f"LEFT JOIN ({one}) c USING (creative_id)"
        )
        tables.replace("impressions", query)
    elif stated["creatives"] == "all":
        _check_one_campaign(tables, place)
        one = f"SELECT creative_id, any_value(campaign) AS campaign FROM {impressions} GROUP BY ALL"
        query = (
            f"SELECT c.* REPLACE (coalesce(i.campaign, c.campaign) AS campaign) FROM {creatives} c "
            f"LEFT JOIN ({one}) i USING (creative_id)"
        )
        tables.replace("creatives", query)


def _constant_campaign(tables: ContractTables, name: str) -> str | None:
    """The campaign of all rows, where it is one."""
    low, high = tables.connection.execute(f"SELECT min(campaign), max(campaign) FROM {tables.view(name)}").fetchone()
    return low if low == high else None


def _check_one_campaign(tables: ContractTables, place: str) -> None:
    several = tables.connection.execute(
        f"SELECT creative_id, min(campaign), max(campaign) FROM {tables.view('impressions')} "
        "GROUP BY creative_id HAVING min(campaign) <> max(campaign) ORDER BY 1 LIMIT 1"
    ).fetchone()
    if several:
        raise UserError(
            f"{place}: creative {several[0]} was shown in the campaigns {several[1]} and {several[2]}; a creative "
            "belongs to one campaign: set columns.campaign of the impressions to `value: all`"
        )


def fill_propensities(tables: ContractTables, mapping: Mapping, place: str) -> None:
    """Propensities of a stated randomisation; without any, a note that evaluation is off."""
    view = tables.view("impressions")
    _take_propensities_of_candidates(tables)
    known, rows = tables.connection.execute(f"SELECT count(propensity), count(*) FROM {view}").fetchone()
    if mapping.randomisation is not None:
        if known:
            raise UserError(f"{place}: randomisation: the files have propensities already; remove one of the two")
        shown = propensities.shown_counts(tables.connection, view, tables.view("creatives"))
        chances = propensities.check_randomisation(shown, mapping.randomisation, f"{place}: randomisation")
        tables.connection.execute("CREATE TABLE chances (campaign VARCHAR, creative_id VARCHAR, chance DOUBLE)")
        tables.connection.executemany(
            "INSERT INTO chances VALUES (?, ?, ?)", [[*key, chance] for key, chance in chances.items()]
        )
        query = (
            f"SELECT i.* REPLACE (c.chance AS propensity) FROM {tables.current('impressions')} i "
            "LEFT JOIN chances c USING (campaign, creative_id)"
        )
        tables.replace("impressions", query)
        tables.notes.append("propensities are those of the stated randomisation, which the shares shown agree with")
    elif known == 0:
        tables.notes.append(
            "no propensities: evaluation is off, for without the probability of what was shown nobody can tell what "
            "another choice would have earned; if creatives were drawn at random, state it as `randomisation: uniform` "
            "in mapping.yaml"
        )
    elif known < rows:
        tables.notes.append(f"{rows - known:,} of {rows:,} impressions have no propensity and go to quarantine")


def _take_propensities_of_candidates(tables: ContractTables) -> None:
    """Where the impressions say none: the propensity of the shown creative among its candidates."""
    if "candidates" in tables.present and tables.one(f"SELECT count(propensity) FROM {tables.view('impressions')}") == (
        0,
    ):
        tables.replace(
            "impressions",
            f"SELECT i.* REPLACE (c.propensity AS propensity) FROM {tables.current('impressions')} i LEFT JOIN "
            f"{tables.view('candidates')} c USING (impression_id, creative_id)",
        )


def derive_creatives(tables: ContractTables) -> None:
    """Creatives from the impressions, where there are no others."""
    if "creatives" in tables.present:
        return
    _check_one_campaign(tables, "impressions")
    declared = TABLES["creatives"]
    known = {"creative_id": "creative_id", "campaign": "any_value(campaign)", "origin": "'people'"}
    described = tables.connection.execute(f"DESCRIBE {tables.view('impressions')}").fetchall()
    if any(row[0] == "_product" for row in described):  # a creative that advertises several has none
        known["product_id"] = "CASE WHEN min(_product) = max(_product) THEN min(_product) END"
    shown = [f'{known.get(c.name, f"CAST(NULL AS {SQL_TYPE[c.kind]})")} AS "{c.name}"' for c in declared.columns]
    tables.replace(
        "creatives",
        f"SELECT {', '.join(shown)}, 'impressions' AS _file, 0 AS {ROW} FROM {tables.view('impressions')} "
        "WHERE creative_id IS NOT NULL GROUP BY creative_id",
    )
    tables.present.append("creatives")
    tables.derived.add("creatives")
    tables.notes.append("no file of creatives: those that were shown are taken, without texts and photos")


def check_creatives(tables: ContractTables) -> None:
    """UserError where impressions and creatives have no creative in common; a note where some are unknown."""
    shown, unknown = tables.connection.execute(
        "SELECT count(DISTINCT creative_id), count(DISTINCT creative_id) FILTER (creative_id NOT IN "
        f"(SELECT creative_id FROM {tables.view('creatives')} WHERE creative_id IS NOT NULL)) "
        f"FROM {tables.view('impressions')}"
    ).fetchone()
    if shown and shown == unknown:
        example = tables.connection.execute(
            f"SELECT (SELECT min(creative_id) FROM {tables.view('impressions')}), "
            f"(SELECT min(creative_id) FROM {tables.view('creatives')})"
        ).fetchone()
        raise UserError(
            f"the files disagree: no creative of the impressions (such as {example[0]}) is among the creatives "
            f"(such as {example[1]})"
        )
    if unknown:
        tables.notes.append(
            f"{unknown:,} of {shown:,} creatives that were shown are not among the creatives; their impressions go to "
            "quarantine"
        )


def complete_campaigns(tables: ContractTables, name: str) -> None:
    """Campaigns with all that the contract needs: derived ones, or what a file leaves out."""
    if "campaigns" not in tables.present and not _derive_campaigns(tables):
        return
    stated = _stated_terms(tables, name)
    view = tables.current("campaigns")
    gaps = [
        column
        for column in stated
        if tables.connection.execute(f'SELECT count(*) FROM {view} WHERE "{column}" IS NULL').fetchone()[0]
    ]
    if gaps:
        filled = ", ".join(f'coalesce("{column}", {stated[column]}) AS "{column}"' for column in gaps)
        tables.replace("campaigns", f"SELECT * REPLACE ({filled}) FROM {view}")
        tables.notes.append(
            f"campaigns: {', '.join(gaps)} are not in the files; stated are advertiser {name}, objective click, "
            "billing cpm, locale en, and the log's first and last day"
        )


def _derive_campaigns(tables: ContractTables) -> bool:
    """Make a campaign of each name that the impressions or creatives bear; False if neither is there."""
    sources = [table for table in ("impressions", "creatives") if table in tables.present]
    if not sources:
        return False
    ids = " UNION ".join(
        f"SELECT DISTINCT campaign FROM {tables.view(table)} WHERE campaign IS NOT NULL" for table in sources
    )
    nulls = ", ".join(
        f'CAST(NULL AS {SQL_TYPE[column.kind]}) AS "{column.name}"'
        for column in TABLES["campaigns"].columns
        if column.name != "campaign"
    )
    tables.replace("campaigns", f"SELECT campaign, {nulls}, 'impressions' AS _file, 0 AS {ROW} FROM ({ids})")
    tables.present.insert(0, "campaigns")
    tables.derived.add("campaigns")
    return True


def _stated_terms(tables: ContractTables, name: str) -> dict[str, str]:
    """Column of campaigns -> the SQL of what an import states where no file says it."""
    logs = [table for table in ("impressions", "events") if table in tables.present]
    times = " UNION ALL ".join(f'SELECT "timestamp" FROM {tables.view(table)}' for table in logs)
    begin = (
        f"(SELECT date_trunc('day', min(\"timestamp\")) FROM ({times}))"
        if logs
        else "TIMESTAMPTZ '2000-01-01 00:00:00+00'"
    )
    end = (
        f"(SELECT date_trunc('day', max(\"timestamp\")) + INTERVAL 1 DAY FROM ({times}))"
        if logs
        else "TIMESTAMPTZ '2100-01-01 00:00:00+00'"
    )
    return {
        "advertiser_id": sql_text(name),
        "objective": "'click'",
        "billing": "'cpm'",
        "locale": "'en'",
        "starts_at": begin,
        "ends_at": end,
    }
