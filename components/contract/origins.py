"""The origin of creatives, people or a generator, and the images that generators may be trained on."""

from collections.abc import Mapping

import pandas as pd

PEOPLE = "people"  # the origin of creatives that people made


def photos_of(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The table `images` without generated images, which enter it once they are served; None without such a table.

    An image of a product, or of a creative that people made, stays.
    """
    creatives, images = tables["creatives"], tables.get("images")
    if images is None:
        return None
    by_people = creatives["origin"] == PEOPLE
    photo_ids = [creatives.loc[by_people, "image_id"]]
    if "products" in tables:
        photo_ids.append(tables["products"]["image_id"])
    generated = images["image_id"].isin(creatives.loc[~by_people, "image_id"])
    return images[~generated | images["image_id"].isin(pd.concat(photo_ids).dropna())]
