"""Draw the ads that a pool would have in every size, and measure them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.ads.contact_sheets import texts_of
from components.ads.inspection.drawn_ads import draw_ad_of
from components.ads.inspection.pixel_rules import inspect
from components.ads.markets.market_rules import market_of, marks_of
from components.ads.pools.shown_facts import facts_of
from components.ads.rendering.ad_sizes import AdSize
from components.ads.rendering.designs import Parts
from components.ads.rendering.image_formats import picture_png
from components.contract.origins import PRODUCT_ADS
from components.settings.sections import AdsConfig


class Inspector:
    """Draws and measures ads of `sizes`; campaigns: the contract's table. drawn: PNG bytes by creative_id and size."""

    def __init__(self, campaigns: pd.DataFrame, sizes: Sequence[AdSize], config: AdsConfig):
        self.drawn: dict[tuple[str, str], bytes] = {}
        self._campaigns, self._sizes, self._config = campaigns, sizes, config
        self._locales = campaigns.set_index("campaign")["locale"]

    def __call__(self, creatives: pd.DataFrame, pictures: Sequence[np.ndarray]) -> list[tuple[str, str]]:
        """For each creative the rule that refuses it in one of the sizes, and its reason; both "" if none does.

        creatives: rows of the contract [n]; pictures: uint8 [h, w, 1 or 3] [n], from the tables or a generator.
        """
        words = texts_of(creatives, self._campaigns)
        return [self._refusal(*one) for one in zip(creatives.itertuples(), words, pictures, strict=True)]

    def _refusal(self, row, texts: dict[str, str | None], picture: np.ndarray) -> tuple[str, str]:
        locale = self._locales[row.campaign]
        market = market_of(row.campaign, locale, self._config.markets)
        required = marks_of(market, locale, generated=row.origin != PRODUCT_ADS)
        parts = Parts(texts["headline"], texts["call_to_action"], **facts_of(row.design))
        for size in self._sizes:
            look = {"size": size, "brand_color": texts["brand_color"], "required": required}
            ad = draw_ad_of(picture, parts, texts["palette"], texts["template"], **look)
            self.drawn[row.creative_id, size.name] = picture_png(ad.pixels)
            found = inspect(ad)
            if found[1]:
                return found
        return "", ""
