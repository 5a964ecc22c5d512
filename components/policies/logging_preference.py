"""What a shop's own logging policy prefers, learned from its log: the base that a policy may lean on.

A policy near the logging policy is judged on more of the log, and keeps what the shop already knows. Logged
propensities are no base for a policy that has to act: a server does not know them, and a policy that is tilted around
the log that it wrote would be tilted twice. So the preference is fixed before the judged rows, and rows that a policy
of Adloom wrote do not count.
"""

import numpy as np
import pandas as pd

from components.policies.eligible import rows_of

OWN = "adloom-"  # how every logging_policy that names a package of Adloom begins


def policy_name(package_digest: str) -> str:
    """The `logging_policy` under which a server logs what the policy of this package (its digest) showed."""
    return f"{OWN}{package_digest[:16]}"


def logging_preference(tables: dict[str, pd.DataFrame], impressions: pd.DataFrame) -> pd.Series:
    """Mean of log(propensity x eligible creatives) of each creative: float64 by creative_id; 0 where nothing is known.

    impressions: the rows to learn from (impression_id, logging_policy). Needs `candidates`, the whole distribution.
    """
    creatives = tables["creatives"]["creative_id"]
    nothing = pd.Series(0.0, index=pd.Index(creatives, name="creative_id"), name="preference")
    foreign = impressions.loc[~impressions["logging_policy"].str.startswith(OWN), "impression_id"]
    if "candidates" not in tables or foreign.empty:
        return nothing
    pairs = tables["candidates"]
    row = rows_of(pairs["impression_id"], foreign)
    pairs, row = pairs[row >= 0], row[row >= 0]
    chance = pairs["propensity"].to_numpy(dtype=float) * np.bincount(row, minlength=len(foreign))[row]
    possible = chance > 0
    code = rows_of(pairs["creative_id"], creatives)[possible]
    count = np.bincount(code, minlength=len(creatives))
    total = np.bincount(code, np.log(chance[possible]), minlength=len(creatives))
    return nothing + np.divide(total, count, out=np.zeros(len(creatives)), where=count > 0)
