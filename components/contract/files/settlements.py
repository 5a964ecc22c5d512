"""Conversions that became final after their day's partition was written, filled into the impressions.

A day's partition is immutable, but a click's conversion is final only when its window has passed. Later conversions are
in a file beside the partition, `impressions/day=D/settled-E.parquet`: those of the impressions of day D whose windows
had closed when the log ended on day E. Such a file may fill nulls only; a final conversion does not change.
"""

import pandas as pd

from components.settings.errors import UserError

SETTLED_PREFIX = "settled-"
SETTLED_TABLE = "impressions"
CONVERSION_COLUMNS = ("conversion", "conversion_timestamp", "revenue")
SETTLEMENT_COLUMNS = ("impression_id", *CONVERSION_COLUMNS)


def is_settlement(file_name: str, table: str) -> bool:
    """Whether a file of `table` holds conversions of earlier impressions, not rows of the table."""
    return table == SETTLED_TABLE and file_name.startswith(SETTLED_PREFIX)


def apply_settlement(impressions: pd.DataFrame, settled: pd.DataFrame, source: str) -> pd.DataFrame:
    """Impressions with the conversions in `settled` (columns SETTLEMENT_COLUMNS, from the file `source`) filled in.

    UserError for a row with an unknown or repeated impression_id, or whose impression has a final conversion already.
    """
    row = pd.Index(impressions["impression_id"]).get_indexer(pd.Index(settled["impression_id"]))
    for wrong, why in (
        (row < 0, "is not an impression of this table"),
        (settled["impression_id"].duplicated().to_numpy(), "is repeated"),
        (impressions["conversion"].notna().to_numpy()[row] & (row >= 0), "has a final conversion already"),
    ):
        if wrong.any():
            raise UserError(
                f"{SETTLED_TABLE}: impression_id {settled['impression_id'][wrong].iloc[0]!r} in {source} {why}"
            )
    late = settled.set_index(impressions.index[row])
    filled = {name: impressions[name].copy() for name in CONVERSION_COLUMNS if name in impressions}
    for name, values in filled.items():
        values.loc[late.index] = late[name].astype(values.dtype)
    return impressions.assign(**filled)
