"""Was a `feature_*` column computed from the clicks that are judged? A test of the log itself.

A column of the past may know the true click rates of creatives, products or shoppers, but not the chance in the judged
ones: of that it explains no more than two disjoint halves of the judged rows share (explained_noise.py). One that
explains more is named, and its finding is critical.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.evaluation.intervals.explained_noise import Cells, Evidence, JudgedRows, evidence, like
from components.evaluation.log_checks.integrity import Finding
from components.features.products.open_columns import known_from
from components.features.timeline import microseconds
from components.policies.eligible import rows_of

LEVEL = 0.01  # chance that an honest log is accused, over all of its columns together
POSITION_CLICKS = 50.0  # a position's rate counts half once it has so many clicks
KIND = "leakage"
TABLES = {"creatives": "creative", "products": "product", "shoppers": "shopper"}  # with open columns: what a row is


def check_leakage(
    rows: JudgedRows, columns: Mapping[str, np.ndarray], unit: str = "creative", level: float = LEVEL
) -> tuple[Finding, ...]:
    """A finding for each of `columns` (name -> a value per unit: numbers, or words as objects) that was leaked into.

    unit: what a unit is called. level: the chance that an honest log is accused, over all of `columns` together. The
    rates are tested as they were logged and, where weights differ, corrected by the propensities. One more finding says
    what was found honest, and one which columns nothing can be told of.
    """
    if not len(rows.unit):
        return ()
    corrected = bool(np.ptp(rows.weight) > 0)
    seen = [Cells.of(rows if weighed else _unweighed(rows)) for weighed in ((False, True) if corrected else (False,))]
    each = level / max(len(columns) * len(seen), 1)
    clicks = float(rows.reward.sum())
    found: list[Finding] = []
    honest, silent = [], []
    for name, values in columns.items():
        basis = like(values, clicks)
        shown = [evidence(cells, basis) for cells in seen]
        worst = min(shown, key=lambda one: one.chance)
        if worst.chance < each:
            found.append(_accusation(name, unit, worst))
        elif any(one.could_tell(each) for one in shown):
            honest.append(name)
        else:
            silent.append(name)
    if honest:
        found.append(Finding(KIND, "ok", f"{', '.join(honest)}: nothing that only the judged clicks could tell"))
    if silent:
        words = f"{', '.join(silent)}: too few {unit}s or clicks to tell whether judged clicks leaked in"
        found.append(Finding(KIND, "inconclusive", words))
    return tuple(found)


def leakage_findings(tables: Mapping[str, pd.DataFrame], judged: pd.DataFrame) -> tuple[Finding, ...]:
    """Tables of the contract and the judged impressions -> what `check_leakage` finds in all of their open columns.

    judged: columns creative_id, shopper_id, timestamp, click and, where known, propensity, position, request_id. A row
    counts for a column from the `features_from` of the creative, product or shopper on, for an earlier one does not see
    it. LEVEL holds for all columns together. Empty where there are no open columns.
    """
    columns = {name: _open_columns(name, tables[name]) for name in TABLES if name in tables}
    total = sum(len(own) for own in columns.values())
    found: tuple[Finding, ...] = ()
    for name, own in columns.items():
        if own:
            found += check_leakage(_rows(name, tables, judged), own, TABLES[name], LEVEL * len(own) / total)
    return found


def _open_columns(name: str, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The open columns that vary, by table and column: a value per row of the table."""
    opened = [column for column in table.columns if column.startswith("feature_") and _varies(table[column])]
    return {f"{name}.{column}": _values(table[column]) for column in opened}


def _rows(name: str, tables: Mapping[str, pd.DataFrame], judged: pd.DataFrame) -> JudgedRows:
    """The judged rows that see the open columns of table `name`, by the row of the table that they are about."""
    table = tables[name]
    unit = _unit_of(name, tables, judged)
    shown = (unit >= 0) & (known_from(table)[unit] <= microseconds(judged["timestamp"]))
    kept = judged[shown]
    return JudgedRows(unit[shown], _cells(name, kept), _weights(name, kept), _clicks(kept), _relative(kept))


def _unit_of(name: str, tables: Mapping[str, pd.DataFrame], judged: pd.DataFrame) -> np.ndarray:
    """Row of table `name` that each judged impression is about, -1 for none: int64 [n]."""
    if name == "shoppers":
        own = rows_of(judged["shopper_id"], tables[name]["shopper_id"])
        consent = tables[name]["consent"].to_numpy(dtype=bool)
        return np.where((own >= 0) & consent[own], own, -1)
    creative = rows_of(judged["creative_id"], tables["creatives"]["creative_id"])
    if name == "creatives":
        return creative
    if "product_id" not in tables["creatives"]:
        return np.full(len(judged), -1)
    product = rows_of(tables["creatives"]["product_id"], tables[name]["product_id"])
    return np.where(creative >= 0, product[creative], -1)


def _cells(name: str, judged: pd.DataFrame) -> np.ndarray:
    """What is not independent within a unit: a shopper's rows of a creative, a page's rows of a shopper. int64 [n]."""
    column = "request_id" if name == "shoppers" else "shopper_id"
    if column not in judged:
        return np.arange(len(judged))
    code = pd.factorize(judged[column])[0]
    return np.where(code >= 0, code, len(judged) + np.arange(len(judged)))  # unknown ones are not one


def _weights(name: str, judged: pd.DataFrame) -> np.ndarray:
    """1 / propensity where it says which creatives the rows stand for, else 1: float64 [n]."""
    if name == "shoppers" or "propensity" not in judged:
        return np.ones(len(judged))
    propensity = judged["propensity"].to_numpy(dtype=np.float64, na_value=np.nan)
    usable = ((propensity > 0) & (propensity <= 1)).all()  # what is wrong with others, integrity.py says
    return 1 / propensity if usable else np.ones(len(judged))


def _clicks(judged: pd.DataFrame) -> np.ndarray:
    return judged["click"].to_numpy(dtype=np.float64)


def _relative(judged: pd.DataFrame) -> np.ndarray:
    """The click rate at each row's position over that of all, drawn to 1 where a position has few clicks: [n]."""
    click = _clicks(judged)
    if "position" not in judged or not click.sum():
        return np.ones(len(judged))
    code = pd.factorize(judged["position"])[0]
    expected = np.bincount(code) * click.mean()
    relative = (np.bincount(code, click) + POSITION_CLICKS) / (expected + POSITION_CLICKS)
    return relative[code] / relative[code].mean()


def _varies(column: pd.Series) -> bool:
    return bool((column.ne(column.iloc[0]) & ~(column.isna() & pd.isna(column.iloc[0]))).any())


def _unweighed(rows: JudgedRows) -> JudgedRows:
    return JudgedRows(rows.unit, rows.cell, np.ones(len(rows.unit)), rows.reward, rows.relative)


def _values(column: pd.Series) -> np.ndarray:
    """Numbers and flags as float64 [units], NaN where null; anything else as objects."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy(dtype=object)


def _accusation(name: str, unit: str, shown: Evidence) -> Finding:
    words = (
        f"{name} explains about {shown.explained:.0%} of the chance in the judged click rates per {unit}, which no "
        f"column from before the judged rows can (chance: {shown.chance:.1g}): it was computed from the judged clicks. "
        "Set features_from of its rows to the time at which it was computed, or leave the column out"
    )
    return Finding(KIND, "critical", words, shown.explained)
