"""Random numbers that depend on the ids of a decision and a creative alone, not on order, other rows or process.

A counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the mixing function of
SplitMix64 (Steele et al. 2014) of a key and a counter; the key is a hash of seed, decision and creative.
"""

import numpy as np
import pandas as pd
from scipy.special import ndtri

from components.policies.policy_protocol import Choices
from components.policies.ragged_rows import spread

COUNTER_STEP = np.uint64(0x9E3779B97F4A7C15)


def seeded_normals(choices: Choices, seed: int, numbers: range) -> np.ndarray:
    """The draws `numbers` of each pair's sequence of standard normals: float64 [n_pairs, len(numbers)]."""
    if choices.decision_ids is None or choices.creative_ids is None:
        raise ValueError("a policy that draws needs decision_ids and creative_ids")
    decision = spread(pd.util.hash_array(np.asarray(choices.decision_ids, dtype=object)), choices.offsets)
    creative = pd.util.hash_array(np.asarray(choices.creative_ids, dtype=object))
    key = _splitmix64(_splitmix64(decision + np.uint64(seed)) ^ creative)
    counter = np.arange(numbers.start + 1, numbers.stop + 1, dtype=np.uint64) * COUNTER_STEP
    bits = _splitmix64(key[:, None] + counter)
    return ndtri(((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def _splitmix64(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, uint64 -> uint64."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
