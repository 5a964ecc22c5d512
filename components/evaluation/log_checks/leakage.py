"""A test whether a `feature_*` column was computed from the judged clicks.

A column made before the judged rows may predict the true click rates of creatives, products or shoppers, but not the
noise in the judged rates (explained_noise.py). A column that explains the noise gives a critical finding.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.evaluation.intervals.explained_noise import (
    Cells,
    ExplainedNoise,
    JudgedRows,
    curve_basis,
    explained_noise,
)
from components.evaluation.log_checks.log_finding import Finding
from components.features.products.open_columns import known_from
from components.features.timeline import microseconds
from components.policies.eligible import rows_of

LEVEL = 0.01  # probability of a false alarm, over all columns of a log together
POSITION_CLICKS = 50.0  # a position with so many clicks has its rate weighted by one half
KIND = "leakage"
TABLES = {"creatives": "creative", "products": "product", "shoppers": "shopper"}  # with open columns: name of a row


def check_leakage(
    rows: JudgedRows, columns: Mapping[str, np.ndarray], unit: str = "creative", level: float = LEVEL
) -> tuple[Finding, ...]:
    """A critical finding for each of `columns` (name: a value per unit, numbers or text) that contains judged clicks.

    unit: the name of a unit. level: the probability of a false alarm over all of `columns` together. The rates are
    tested as logged and, if weights differ, weighted by 1 / propensity too. Two more findings list the columns without
    leakage and those that cannot be tested.
    """
    if not len(rows.unit):
        return ()
    weighted = bool(np.ptp(rows.weight) > 0)
    variants = [Cells.of(_unweighted(rows)), *([Cells.of(rows)] if weighted else [])]
    test_level = level / max(len(columns) * len(variants), 1)
    clicks = float(rows.reward.sum())
    findings: list[Finding] = []
    clean, untested = [], []
    for name, values in columns.items():
        basis = curve_basis(values, clicks)
        tests = [explained_noise(cells, basis) for cells in variants]
        strongest = min(tests, key=lambda test: test.chance)
        if strongest.chance < test_level:
            findings.append(_leak(name, unit, strongest))
        elif any(test.has_power(test_level) for test in tests):
            clean.append(name)
        else:
            untested.append(name)
    if clean:
        findings.append(Finding(KIND, "ok", f"{', '.join(clean)}: no sign of the judged clicks"))
    if untested:
        message = f"{', '.join(untested)}: too few {unit}s or clicks to tell whether judged clicks leaked in"
        findings.append(Finding(KIND, "inconclusive", message))
    return tuple(findings)


def leakage_findings(tables: Mapping[str, pd.DataFrame], judged: pd.DataFrame) -> tuple[Finding, ...]:
    """The findings of `check_leakage` for all open columns of the contract's tables; empty if there are none.

    judged: columns creative_id, shopper_id, timestamp, click and, if known, propensity, position, request_id. A row
    counts from the `features_from` of its creative, product or shopper on, because earlier rows do not have the
    column's value. LEVEL holds for all columns together.
    """
    columns = {name: _open_columns(name, tables[name]) for name in TABLES if name in tables}
    total = sum(len(table_columns) for table_columns in columns.values())
    findings: tuple[Finding, ...] = ()
    for name, table_columns in columns.items():
        if table_columns:
            level = LEVEL * len(table_columns) / total
            findings += check_leakage(_rows(name, tables, judged), table_columns, TABLES[name], level)
    return findings


def _open_columns(name: str, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The open columns that vary, by `table.column`: a value per row of the table."""
    varying = [column for column in table.columns if column.startswith("feature_") and _varies(table[column])]
    return {f"{name}.{column}": _values(table[column]) for column in varying}


def _rows(name: str, tables: Mapping[str, pd.DataFrame], judged: pd.DataFrame) -> JudgedRows:
    """The judged rows for which the open columns of table `name` are known; a unit is a row of that table."""
    table = tables[name]
    unit = _unit_of(name, tables, judged)
    known = (unit >= 0) & (known_from(table)[unit] <= microseconds(judged["timestamp"]))
    rows = judged[known]
    return JudgedRows(unit[known], _cells(name, rows), _weights(name, rows), _clicks(rows), _relative(rows))


def _unit_of(name: str, tables: Mapping[str, pd.DataFrame], judged: pd.DataFrame) -> np.ndarray:
    """The row of table `name` that each judged impression belongs to, -1 for none: int64 [n]."""
    if name == "shoppers":
        shopper = rows_of(judged["shopper_id"], tables[name]["shopper_id"])
        consent = tables[name]["consent"].to_numpy(dtype=bool)
        return np.where((shopper >= 0) & consent[shopper], shopper, -1)
    creative = rows_of(judged["creative_id"], tables["creatives"]["creative_id"])
    if name == "creatives":
        return creative
    if "product_id" not in tables["creatives"]:
        return np.full(len(judged), -1)
    product = rows_of(tables["creatives"]["product_id"], tables[name]["product_id"])
    return np.where(creative >= 0, product[creative], -1)


def _cells(name: str, judged: pd.DataFrame) -> np.ndarray:
    """The cell of each row, int64 [n]: its shopper, or its page if units are shoppers; such rows are dependent."""
    column = "request_id" if name == "shoppers" else "shopper_id"
    if column not in judged:
        return np.arange(len(judged))
    code = pd.factorize(judged[column])[0]
    return np.where(code >= 0, code, len(judged) + np.arange(len(judged)))  # each unknown value is a cell of its own


def _weights(name: str, judged: pd.DataFrame) -> np.ndarray:
    """1 / propensity if units are creatives or products and propensities are valid, else 1: float64 [n]."""
    if name == "shoppers" or "propensity" not in judged:
        return np.ones(len(judged))
    propensity = judged["propensity"].to_numpy(dtype=np.float64, na_value=np.nan)
    usable = ((propensity > 0) & (propensity <= 1)).all()  # integrity.py reports the others
    return 1 / propensity if usable else np.ones(len(judged))


def _clicks(judged: pd.DataFrame) -> np.ndarray:
    return judged["click"].to_numpy(dtype=np.float64)


def _relative(judged: pd.DataFrame) -> np.ndarray:
    """The click rate at each row's position over that of all, shrunk to 1 if a position has few clicks: float64 [n]."""
    click = _clicks(judged)
    if "position" not in judged or not click.sum():
        return np.ones(len(judged))
    code = pd.factorize(judged["position"])[0]
    expected = np.bincount(code) * click.mean()
    relative = (np.bincount(code, click) + POSITION_CLICKS) / (expected + POSITION_CLICKS)
    return relative[code] / relative[code].mean()


def _varies(column: pd.Series) -> bool:
    return bool((column.ne(column.iloc[0]) & ~(column.isna() & pd.isna(column.iloc[0]))).any())


def _unweighted(rows: JudgedRows) -> JudgedRows:
    return JudgedRows(rows.unit, rows.cell, np.ones(len(rows.unit)), rows.reward, rows.relative)


def _values(column: pd.Series) -> np.ndarray:
    """Numbers and flags as float64 [units], NaN if null; anything else as objects."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy(dtype=object)


def _leak(name: str, unit: str, test: ExplainedNoise) -> Finding:
    message = (
        f"{name} explains about {test.explained:.0%} of the noise in the judged click rates per {unit}, which no "
        f"column from before the judged rows can (chance: {test.chance:.1g}): it was computed from the judged clicks. "
        "Set features_from of its rows to the time at which it was computed, or leave the column out"
    )
    return Finding(KIND, "critical", message, test.explained)
