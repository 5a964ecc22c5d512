"""Who made a creative: people, or a generator. What generators made must never pass for photos to learn from."""

from collections.abc import Mapping

import pandas as pd

PEOPLE = "people"  # the origin of creatives that no generator made


def photos_of(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """`images` without the pictures of generators, which are in the table once they were served; None without images.

    A picture stays that a product has, or a creative of people's.
    """
    creatives, images = tables["creatives"], tables.get("images")
    if images is None:
        return None
    by_people = creatives["origin"] == PEOPLE
    kept = [creatives.loc[by_people, "image_id"]]
    if "products" in tables:
        kept.append(tables["products"]["image_id"])
    made = images["image_id"].isin(creatives.loc[~by_people, "image_id"])
    return images[~made | images["image_id"].isin(pd.concat(kept).dropna())]
