"""How often shoppers of each segment interacted with each photo's product, a condition of the generators."""

import pandas as pd


def segment_shares(events: pd.DataFrame, products: pd.DataFrame, profiles: pd.DataFrame, segments: int) -> pd.DataFrame:
    """Events by image and segment of the shopper: index image_id, columns 0..segments - 1, counts >= 0.

    events: shopper_id, product_id (null: not counted). products: product_id, image_id. profiles: shopper_id, segment.
    Images without events have no row.
    """
    on_products = events.dropna(subset=["product_id"])[["shopper_id", "product_id"]]
    on_images = on_products.merge(products[["product_id", "image_id"]].dropna(), on="product_id")
    by_segment = on_images.merge(profiles[["shopper_id", "segment"]], on="shopper_id")
    counts = by_segment.groupby(["image_id", "segment"]).size().reset_index(name="events")
    wide = counts.pivot_table(index="image_id", columns="segment", values="events", fill_value=0, observed=True)
    return wide.reindex(columns=range(segments), fill_value=0)
