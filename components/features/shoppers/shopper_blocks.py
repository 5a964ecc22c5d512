"""Divide events and impressions by shopper, so that the history of some shoppers is in memory at a time.

A feature of a shopper needs the rows of that shopper alone. So the features of a block are those of all shoppers
together, up to the rounding of sums.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.features.timeline import positions

EVENTS_AT_ONCE = 1 << 23  # of a block, on average; their sums and look-ups take about 200 bytes each


@dataclass(frozen=True)
class ShopperBlock:
    """The rows of some shoppers. events: None without a table of events; rows: int64, ascending, of the impressions."""

    events: pd.DataFrame | None
    rows: np.ndarray


def shopper_blocks(
    events: pd.DataFrame | None, shopper_id: pd.Series, size: int = EVENTS_AT_ONCE
) -> Iterator[ShopperBlock]:
    """Blocks of about `size` events. shopper_id: of each impression [n], also of shoppers without events.

    Each event and each impression is in one block, in the order of its table.
    """
    count = 1 if events is None else max(-(-len(events) // size), 1)
    if count == 1:
        yield ShopperBlock(events, np.arange(len(shopper_id)))
        return
    codes, shoppers = pd.factorize(events["shopper_id"])
    block_of_event = (codes % count).astype(np.int32)
    shopper = positions(shopper_id, pd.Index(shoppers))
    # a shopper without events can be in any block, but with all the impressions that count for fatigue
    without = np.flatnonzero(shopper < 0)
    shopper[without] = pd.factorize(shopper_id.iloc[without])[0]
    block_of_row = (shopper % count).astype(np.int32)
    for block in range(count):
        chosen = events.iloc[np.flatnonzero(block_of_event == block)].reset_index(drop=True)
        yield ShopperBlock(chosen, np.flatnonzero(block_of_row == block))
