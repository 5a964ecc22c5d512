"""Propensities as shops write them: probabilities, per cent, logarithms, inverses; or none, but a known randomisation.

A known randomisation is stated in the mapping: `uniform` over the creatives of a campaign, or a share for each
creative. It is checked against how often the creatives were shown before it is believed.
"""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
from scipy import stats

from components.datasets.importing import value_formats
from components.datasets.importing.column_names import plain
from components.datasets.importing.mapping import ColumnRule
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError

ALPHA = 1e-6  # a stated randomisation is refused where shares like those shown are rarer than this
OTHER_LOGS = {"log10": ("log10", "lg10"), "log2": ("log2",)}  # form -> how a name begins that says its base
LOG, PERCENT, INVERSE = ("log", "logp", "logprob", "lnp"), ("pct", "percent", "百分"), ("inv", "ipw", "ips", "weight")
SQL = {  # form -> SQL of the number as a probability
    "probability": "{0}",
    "percent": "{0} / 100",
    "log": "exp({0})",
    "log10": "pow(10, {0})",
    "log2": "pow(2, {0})",
    "inverse": "1 / {0}",
}


def guess_form(rule: ColumnRule, values: Sequence[str], name: str) -> ColumnRule:
    """The rule with the decimal mark and the form of these values; `?` where two forms fit."""
    mark = value_formats.decimal_mark(values)
    if mark is None:
        raise UserError(f"column {name}: expected propensities, and it holds {values[0]!r}")
    unclear = mark == OPEN  # 1.234 may be a thousand; a probability is none, and an inverse may be
    if unclear:
        mark = "." if any("." in value for value in values) else ","
    numbers = np.array([number(value, mark) for value in values])
    signed = sum("%" in value or "％" in value for value in values)
    if 0 < signed < len(values):
        bare = next(value for value in values if "%" not in value and "％" not in value)
        raise UserError(f"column {name}: some propensities have a per cent sign and some, such as {bare!r}, have none")
    form = _form(numbers, plain(name.replace("%", " percent")), per_cent_sign=signed > 0)
    return rule.model_copy(update={"decimal": OPEN if unclear and form in ("inverse", OPEN) else mark, "form": form})


def number(text: str, mark: str) -> float:
    """The number that a text is, with `mark` before its fraction; NaN where it is none."""
    plain_text = value_formats.bare_number(text)
    plain_text = plain_text.replace("." if mark == "," else ",", "").replace(",", ".")
    return float(plain_text) if value_formats.PLAIN.fullmatch(plain_text) else float("nan")


def _form(numbers: np.ndarray, name: str, per_cent_sign: bool) -> str:
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    base = next((form for form, words in OTHER_LOGS.items() if name.startswith(words)), "log")
    is_log = base != "log" or name.startswith(LOG) or "logp" in name
    is_percent = any(word in name for word in PERCENT)
    is_inverse = any(word in name for word in INVERSE)
    if per_cent_sign:
        return "percent"
    if low < 0:
        return base if high <= 0 and is_log else OPEN
    if is_inverse:
        return "inverse" if low >= 1 else OPEN
    if high <= 1:
        return OPEN if is_log or is_percent else "probability"
    if is_percent and high <= 100:
        return "percent"
    return OPEN  # numbers below 1 and above it: per cent, or two scales in one column


def check_randomisation(
    shown: Mapping[str, Mapping[str, int]], stated: str | Mapping[str, float], place: str
) -> dict[tuple[str, str], float]:
    """(campaign, creative) -> its propensity, by the randomisation that is stated.

    shown: campaign -> creative -> how often it was shown. UserError where shares like these are rarer than ALPHA under
    it (chi-square test), or where a creative has no share.
    """
    chances: dict[tuple[str, str], float] = {}
    for campaign, counts in shown.items():
        if isinstance(stated, str):
            shares = {creative: 1 / len(counts) for creative in counts}
        else:
            shares = _shares(counts, stated, place)
        total = sum(counts.values())
        expected = np.array([shares[creative] * total for creative in counts])
        observed = np.array(list(counts.values()), dtype=float)
        if len(counts) > 1:
            chance = float(stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(counts) - 1))
            if chance < ALPHA:
                worst = max(counts, key=lambda creative: abs(counts[creative] - shares[creative] * total))
                raise UserError(
                    f"{place}: campaign {campaign} showed creative {worst} in {counts[worst] / total:.1%} of "
                    f"{total:,} impressions, and the stated randomisation says {shares[worst]:.1%}: it is not what "
                    "acted"
                )
        chances.update({(campaign, creative): share for creative, share in shares.items()})
    return chances


def _shares(counts: Mapping[str, int], stated: Mapping[str, float], place: str) -> dict[str, float]:
    missing = [creative for creative in counts if creative not in stated]
    if missing:
        raise UserError(f"{place}: no share for creative {missing[0]!r}, which was shown")
    total = sum(stated[creative] for creative in counts)
    if not all(0 < share <= 1 for share in stated.values()) or total > 1 + 1e-6:
        raise UserError(f"{place}: shares are above 0 and sum to 1 within a campaign; here they sum to {total:g}")
    if total < 1 - 1e-6:
        raise UserError(f"{place}: the shares of the creatives that were shown sum to {total:g}, not to 1")
    return {creative: stated[creative] for creative in counts}


def shown_counts(connection: duckdb.DuckDBPyConnection, impressions: str, creatives: str) -> dict[str, dict[str, int]]:
    """Campaign -> creative -> number of impressions, in views of both tables; 0 for those never shown."""
    counts: dict[str, dict[str, int]] = {}
    query = (
        f"SELECT c.campaign, c.creative_id, count(i.creative_id) FROM (SELECT DISTINCT campaign, creative_id FROM "
        f"{creatives}) c LEFT JOIN {impressions} i USING (campaign, creative_id) GROUP BY ALL ORDER BY ALL"
    )
    for campaign, creative, count in connection.execute(query).fetchall():
        counts.setdefault(campaign, {})[creative] = count
    return {campaign: shown for campaign, shown in counts.items() if any(shown.values())}
