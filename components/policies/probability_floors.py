"""Weights over an impression's eligible creatives -> probabilities, with a floor and a share for new creatives.

    pi(a | x) = (1 - s) ((1 - e) w_a / sum_b w_b + e / |K|)     a in K, the creatives of the shop                 (1)
              = s / |N|                                          a in N, the new ones: the policy's pool           (2)

s is `new_share` if K and N are not empty, 0 if N is empty, 1 if K is. If all weights in K are 0, they count as equal.
The floor keeps every eligible creative observable, so that the next policy can be judged on this one's log.
"""

import numpy as np

from components.policies.ragged_rows import row_counts, row_sums, spread


def with_floors(
    weight: np.ndarray, new: np.ndarray, offsets: np.ndarray, exploration: float, new_share: float
) -> np.ndarray:
    """Probabilities by equations (1) and (2): float64 [n_pairs] that sum to 1 within each impression.

    weight: float64 [n_pairs], >= 0. new: bool [n_pairs]. exploration (e), new_share (s): in [0, 1].
    """
    known = ~new
    count = row_counts(offsets)
    known_count = row_sums(known.astype(float), offsets)
    total = row_sums(weight * known, offsets)
    share = np.where(known_count == count, 0.0, np.where(known_count == 0, 1.0, new_share))
    even_share = known / spread(np.maximum(known_count, 1.0), offsets)
    total_of_pair = spread(total, offsets)
    normalised = np.divide(weight * known, total_of_pair, out=even_share.copy(), where=total_of_pair > 0)
    of_new = spread(share / np.maximum(count - known_count, 1.0), offsets)
    of_known = spread(1.0 - share, offsets) * ((1.0 - exploration) * normalised + exploration * even_share)
    return np.where(new, of_new, of_known)
