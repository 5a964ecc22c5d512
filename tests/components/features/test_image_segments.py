"""Which segments touch each photo, counted by hand."""

import pandas as pd

from components.features.shoppers.image_segments import segment_shares


def test_touches_are_counted_per_photo_and_segment():
    events = pd.DataFrame({"shopper_id": ["s1", "s1", "s2", "s3", "s1"], "product_id": ["p1", "p1", "p1", "p2", None]})
    products = pd.DataFrame({"product_id": ["p1", "p2", "p3"], "image_id": ["a", "b", "c"]})
    profiles = pd.DataFrame({"shopper_id": ["s1", "s2"], "segment": [0, 2]})
    shares = segment_shares(events, products, profiles, 3)
    assert shares.loc["a"].tolist() == [2, 0, 1]
    assert list(shares.index) == ["a"]  # s3 has no profile, so nobody known touched b
