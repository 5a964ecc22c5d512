"""The accuracy of a caption parser on captions whose attributes are known."""

import numpy as np


def exact_matches(parser, captions) -> float:
    """The fraction of captions whose category, tone and build are all parsed correctly."""
    parsed = parser.parse_all([caption.text for caption in captions])
    correct = [
        (result.category, result.tone, result.build) == (caption.category, caption.tone, caption.build)
        for result, caption in zip(parsed, captions, strict=True)
    ]
    return float(np.mean(correct))
