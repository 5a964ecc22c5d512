"""The shopper of each row, and the rows whose shopper is unknown."""

import numpy as np
import pandas as pd

# texts that systems write for an unknown shopper; upper or lower case and blanks around them do not matter
PLACEHOLDERS = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nil", "nat", "undefined", "unknown", "anonymous"}
    | {"unbekannt", "guest", "(not set)", "not set", "missing", "-", "?", "\\n", "未知", "匿名"}
)


def unknown_shoppers(shopper: np.ndarray | pd.Series) -> np.ndarray:
    """Whether each row's shopper is unknown (null, blank, or one of PLACEHOLDERS): bool [n]."""
    code, names = pd.factorize(pd.Series(shopper, dtype=object))
    unknown = np.array([str(name).strip().lower() in PLACEHOLDERS for name in names], dtype=bool)
    return np.append(unknown, True)[code]  # the code of null is -1


def shopper_codes(shopper: np.ndarray | pd.Series) -> np.ndarray:
    """Code of each row's shopper, from 0; each row with an unknown shopper has its own code: int64 [n]."""
    ids = pd.Series(shopper, dtype=object).reset_index(drop=True)
    unknown = unknown_shoppers(ids)
    code = pd.factorize(ids.where(~unknown))[0].astype(np.int64)
    code[unknown] = code.max(initial=-1) + 1 + np.arange(int(unknown.sum()))
    return code


def placeholders_of(shopper: np.ndarray | pd.Series) -> list[str]:
    """The texts that are written for unknown shoppers here, null as `null`, the most frequent first."""
    ids = pd.Series(shopper, dtype=object).reset_index(drop=True)
    return ids[unknown_shoppers(ids)].fillna("null").astype(str).value_counts().index.tolist()
