"""Scored pairs and settings -> the probabilities of the policy that a run proposes or a champion pins."""

import numpy as np
import pandas as pd

from components.config import PolicyConfig
from components.policy.eligible import pair_offsets
from components.policy.softmax import Softmax


def act(config: PolicyConfig, scores: np.ndarray, pairs: pd.DataFrame, impressions: pd.DataFrame) -> np.ndarray:
    """Probability of each of `pairs` (columns impression_id, creative_id and, where known, the logging `propensity`).

    scores: P(click), float64 [n_pairs]; pairs are grouped in the order of `impressions`. float64 [n_pairs].
    """
    base = pairs["propensity"].to_numpy() if "propensity" in pairs else None
    return Softmax(**config.model_dump()).probabilities(scores, pair_offsets(pairs, impressions), base)
