"""Weights over an impression's eligible creatives -> probabilities, with a floor and a share for new creatives.

    pi(a | x) = (1 - s) ((1 - e) w_a / sum_b w_b + e / |K|)     a in K, the creatives that the policy knows       (1)
              = s / |N|                                          a in N, the new ones: its own pool                (2)

s is `new_share` where both kinds are eligible, 0 where N is empty, 1 where K is. Where all weights of K are 0, K shares
evenly. The floor keeps every eligible creative observable, so that the next policy can be judged on this one's log.
"""

import numpy as np

from components.policies.ragged_rows import row_counts, row_sums, spread


def shared(
    weight: np.ndarray, new: np.ndarray, offsets: np.ndarray, exploration: float, new_share: float
) -> np.ndarray:
    """Equations (1) and (2): float64 [n_pairs] that sum to 1 within each impression.

    weight: float64 [n_pairs], >= 0. new: bool [n_pairs]. exploration (e), new_share (s): in [0, 1].
    """
    known = ~new
    count = row_counts(offsets)
    known_count = row_sums(known.astype(float), offsets)
    total = row_sums(weight * known, offsets)
    share = np.where(known_count == count, 0.0, np.where(known_count == 0, 1.0, new_share))
    evenly = known / spread(np.maximum(known_count, 1.0), offsets)
    per_row = spread(total, offsets)
    chosen = np.divide(weight * known, per_row, out=evenly.copy(), where=per_row > 0)
    of_new = spread(share / np.maximum(count - known_count, 1.0), offsets)
    of_known = spread(1.0 - share, offsets) * ((1.0 - exploration) * chosen + exploration * evenly)
    return np.where(new, of_new, of_known)
