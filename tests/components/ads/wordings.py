"""How much of what captions ask for a reader gets."""

import numpy as np


def share_right(reader, captions) -> float:
    """Share of the captions that are read right in category, tone and build."""
    wishes = reader.read_all([caption.text for caption in captions])
    right = [
        (wish.category, wish.tone, wish.build) == (caption.category, caption.tone, caption.build)
        for wish, caption in zip(wishes, captions, strict=True)
    ]
    return float(np.mean(right))
