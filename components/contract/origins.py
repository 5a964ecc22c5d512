"""The origin of creatives (people, product ads, a generator), and the images that generators may be trained on."""

from collections.abc import Mapping

import pandas as pd

PEOPLE = "people"  # the origin of creatives that people made
PRODUCT_ADS = "product-ads"  # of those that Adloom made, each with a photo of the shop's own
REAL_PHOTOS = (PEOPLE, PRODUCT_ADS)  # the origins without a generated image


def photos_of(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The table `images` without generated images, which enter it once they are served; None without such a table.

    An image of a product, or of a creative that shows a real photo, stays.
    """
    creatives, images = tables["creatives"], tables.get("images")
    if images is None:
        return None
    real = creatives["origin"].isin(REAL_PHOTOS)
    photo_ids = [creatives.loc[real, "image_id"]]
    if "products" in tables:
        photo_ids.append(tables["products"]["image_id"])
    generated = images["image_id"].isin(creatives.loc[~real, "image_id"])
    return images[~generated | images["image_id"].isin(pd.concat(photo_ids).dropna())]
