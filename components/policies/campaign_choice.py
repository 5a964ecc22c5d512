"""Which campaign shows an ad if a request leaves it open: each alike, or the one that is expected to earn most.

    v(c) = bid / 1000                             (cpm)
           bid max_a P(click | a)                 (cpc), over the eligible creatives of c; 0 without a bid           (1)
    q(c) = (1 - e) [c has the highest v] + e / n  over the n campaigns that may take part                            (2)

Campaigns with the same highest v share the first term of (2). One campaign is drawn from q, once; then its policy draws
a creative, with a propensity that is the probability of the creative given the campaign, whichever q was.
"""

from collections.abc import Sequence, Sized

import numpy as np


def evenly(campaigns: Sized) -> np.ndarray:
    """The same probability for each of n campaigns, float64 [n]."""
    return np.full(len(campaigns), 1.0 / len(campaigns))


def by_value(values: Sequence[float], exploration: float) -> np.ndarray:
    """Equation (2), float64 [n]. values: v of the n campaigns; exploration: e in [0, 1]."""
    highest = np.asarray(values) == max(values)
    return (1.0 - exploration) * highest / highest.sum() + exploration * evenly(values)
