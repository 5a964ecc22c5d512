"""When a creative may be shown: while both it and its campaign are active."""

import pandas as pd


def within_campaigns(creatives: pd.DataFrame, campaigns: pd.DataFrame) -> pd.DataFrame:
    """`creatives` [n] with active_from and active_until (null: always) narrowed to the time of their campaigns.

    creatives: campaign, active_from, active_until; campaigns: campaign, starts_at, ends_at (null: no limit).
    """
    rows = creatives.reset_index(drop=True).copy()
    for name in ("active_from", "active_until"):
        rows[name] = pd.to_datetime(rows[name], utc=True).astype("datetime64[us, UTC]")
    of_campaign = campaigns.set_index("campaign").reindex(rows["campaign"])
    starts, ends = (of_campaign[name].reset_index(drop=True) for name in ("starts_at", "ends_at"))
    rows["active_from"] = rows["active_from"].where((rows["active_from"] > starts) | starts.isna(), starts)
    rows["active_until"] = rows["active_until"].where((rows["active_until"] < ends) | ends.isna(), ends)
    return rows
