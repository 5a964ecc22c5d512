"""The preference of a shop's own logging policy for each creative, estimated from its log: a base for policies.

More of the log can evaluate a policy that is near the logging policy, and such a policy keeps what the shop already
knows. Logged propensities cannot be the base of a deployed policy: a server does not know them, and a policy based on
its own log would be tilted twice. So the preference is estimated before the judged rows, without the rows that a policy
of Adloom logged.
"""

import numpy as np
import pandas as pd

from components.policies.eligible import rows_of

POLICY_PREFIX = "adloom-"  # prefix of the logging_policy of every package of Adloom


def logging_policy_name(package_digest: str) -> str:
    """The `logging_policy` under which a server logs the decisions of the package with this digest."""
    return f"{POLICY_PREFIX}{package_digest[:16]}"


def logging_preference(tables: dict[str, pd.DataFrame], impressions: pd.DataFrame) -> pd.Series:
    """Mean of log(propensity x number of eligible creatives): float64 by creative_id; 0 for a creative never logged.

    impressions: the rows to use (impression_id, logging_policy). All 0 without the table `candidates`.
    """
    creatives = tables["creatives"]["creative_id"]
    zeros = pd.Series(0.0, index=pd.Index(creatives, name="creative_id"), name="preference")
    shop_rows = impressions.loc[~impressions["logging_policy"].str.startswith(POLICY_PREFIX), "impression_id"]
    if "candidates" not in tables or shop_rows.empty:
        return zeros
    pairs = tables["candidates"]
    row = rows_of(pairs["impression_id"], shop_rows)
    pairs, row = pairs[row >= 0], row[row >= 0]
    relative_propensity = pairs["propensity"].to_numpy(dtype=float) * np.bincount(row, minlength=len(shop_rows))[row]
    possible = relative_propensity > 0
    code = rows_of(pairs["creative_id"], creatives)[possible]
    count = np.bincount(code, minlength=len(creatives))
    total = np.bincount(code, np.log(relative_propensity[possible]), minlength=len(creatives))
    return zeros + np.divide(total, count, out=np.zeros(len(creatives)), where=count > 0)
