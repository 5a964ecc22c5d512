"""Events and shopper profiles -> which segments touch each photo: what a generator conditions on."""

import pandas as pd


def segment_shares(events: pd.DataFrame, products: pd.DataFrame, profiles: pd.DataFrame, segments: int) -> pd.DataFrame:
    """Touches of each image by shoppers of each segment: index image_id, columns 0..segments - 1, counts >= 0.

    events: shopper_id, product_id (null: touches nothing). products: product_id, image_id. profiles: shopper_id,
    segment. Images that nobody touched have no row.
    """
    touches = events.dropna(subset=["product_id"])[["shopper_id", "product_id"]]
    seen = touches.merge(products[["product_id", "image_id"]].dropna(), on="product_id")
    by = seen.merge(profiles[["shopper_id", "segment"]], on="shopper_id")
    counts = by.groupby(["image_id", "segment"]).size().reset_index(name="touches")
    wide = counts.pivot_table(index="image_id", columns="segment", values="touches", fill_value=0, observed=True)
    return wide.reindex(columns=range(segments), fill_value=0)
