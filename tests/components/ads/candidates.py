"""Candidate ads for tests of the rules that admit them."""

import numpy as np
import pandas as pd

from components.ads.admission import CONTEXT_COLUMNS, TEXT_COLUMNS, Candidates


def pictured(pictures: np.ndarray) -> Candidates:
    """uint8 [n, h, w, c] -> candidates without texts."""
    return Candidates(
        pd.DataFrame(None, index=range(len(pictures)), columns=[*TEXT_COLUMNS, *CONTEXT_COLUMNS]), pictures
    )


def worded(*rows: dict) -> Candidates:
    """Rows of texts, campaign, locale and category -> candidates without pictures."""
    return Candidates(pd.DataFrame(list(rows), columns=[*TEXT_COLUMNS, *CONTEXT_COLUMNS]))
