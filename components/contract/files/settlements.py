"""Conversions that became final after their impression's partition was written -> filled into the impressions.

A day's partition is immutable, yet a click's conversion is known only when its window has passed. What became known
later lies beside the partition, in `impressions/day=D/settled-E.parquet`: the impressions of day D whose windows were
closed when the log ended on day E. It fills nulls and overrules nothing: a conversion, once there, is final.
"""

import pandas as pd

from components.settings.errors import UserError

PREFIX = "settled-"
TABLE = "impressions"
FILLED = ("conversion", "conversion_timestamp", "revenue")
COLUMNS = ("impression_id", *FILLED)


def is_settlement(file_name: str, table: str) -> bool:
    """Whether a file of `table` holds late conversions rather than rows of its own."""
    return table == TABLE and file_name.startswith(PREFIX)


def apply_settlement(impressions: pd.DataFrame, settled: pd.DataFrame, source: str) -> pd.DataFrame:
    """Impressions with what `settled` (columns COLUMNS, from the file `source`) knows of them.

    UserError for a row that names no impression, repeats one, or one whose conversion was final already.
    """
    row = pd.Index(impressions["impression_id"]).get_indexer(pd.Index(settled["impression_id"]))
    for wrong, why in (
        (row < 0, "is no impression of this table"),
        (settled["impression_id"].duplicated().to_numpy(), "is there twice"),
        (impressions["conversion"].notna().to_numpy()[row] & (row >= 0), "has a final conversion already"),
    ):
        if wrong.any():
            raise UserError(f"{TABLE}: impression_id {settled['impression_id'][wrong].iloc[0]!r} in {source} {why}")
    late = settled.set_index(impressions.index[row])
    filled = {name: impressions[name].copy() for name in FILLED if name in impressions}
    for name, values in filled.items():
        values.loc[late.index] = late[name].astype(values.dtype)
    return impressions.assign(**filled)
