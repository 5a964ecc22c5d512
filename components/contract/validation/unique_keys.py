"""Whether keys are distinct, found without a Python object per id, which would take a hundred bytes each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def is_unique(key: Sequence[pd.Series]) -> bool:
    """True if the rows' keys are known to be distinct. key: one or two columns of text.

    Logs are mostly sorted by their first id, so that rows with equal ids are neighbours. False means unknown: a null,
    two columns in another order, or more than two.
    """
    if any(column.isna().any() for column in key) or len(key[0]) == 0 or len(key) > 2:
        return False
    first, others = _text(key[0]), key[1:]
    steps = pc.less if not others else pc.less_equal
    ascending = pc.all(steps(first[:-1], first[1:]), min_count=0).as_py()
    if not others:
        return ascending or len(pc.unique(first)) == len(first)
    if not ascending:
        return False
    run = np.concatenate([[0], np.cumsum(pc.not_equal(first[:-1], first[1:]).to_numpy(zero_copy_only=False))])
    codes, distinct = pd.factorize(key[1])
    pairs = np.sort(run * len(distinct) + codes)
    return bool((pairs[1:] > pairs[:-1]).all())


def _text(column: pd.Series) -> pa.Array:
    """`column` as one Arrow array."""
    values = pa.array(column, pa.large_string())
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
