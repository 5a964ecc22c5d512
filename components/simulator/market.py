"""The state of a simulated shop before its first day: click law, catalogue and its traits, logging policy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.settings.sections import SimulatorConfig
from components.simulator import vocabulary as words
from components.simulator.catalogue import DAY, START, Catalogue, draw_catalogue, rescore
from components.simulator.click_law import Law, plain_appeal, quality
from components.simulator.law_traits import Traits, codes, creative_traits, product_traits
from components.simulator.logging_policy import LoggingPolicy, logging_policy
from components.simulator.photos.image_look import SAMPLE, Look, canonical, fit_look
from components.simulator.photos.product_photos import ID_PREFIX, SPLITS, Goods, Photos, decode_grey, images_table
from components.simulator.population import draw_preferences, draw_shoppers
from components.simulator.scenario import Scenario
from components.simulator.shopper_events import Shelves, stock_shelves


@dataclass(frozen=True)
class Market:
    """Everything that the simulation of a day needs.

    Of the m creatives: `traits`; `campaign` [m], codes; `first_day` and `last_day` [m], both active days included.
    """

    config: SimulatorConfig
    law: Law
    catalogue: Catalogue
    images: pd.DataFrame
    traits: Traits
    campaign: np.ndarray
    first_day: np.ndarray
    last_day: np.ndarray
    product_traits: Traits
    shelves: Shelves
    policy: LoggingPolicy


def open_market(config: SimulatorConfig, scenario: Scenario, sold: Photos | Goods) -> Market:
    """The shop of `config`, with a catalogue drawn from its seed, or that of the goods that are `sold`."""
    law = latent_law(config, scenario)
    images = sold.images if isinstance(sold, Goods) else images_table(sold)
    look = look_of(images)
    catalogue = draw_catalogue(config, scenario, sold, law.shoppers)
    traits = creative_traits(catalogue.creatives, catalogue.products, images, look, scenario.sells)
    # The shop's score of a creative correlates with its appeal to all shoppers, not with individual tastes.
    effects = scenario.effects
    common_appeal = effects.quality * quality(law.preferences[0], traits) + plain_appeal(effects, traits)
    creatives = rescore(catalogue.creatives, common_appeal, scenario.logging.prior_accuracy)
    stocked = Catalogue(catalogue.campaigns, catalogue.products, creatives, catalogue.shoppers)
    return _market(config, law, stocked, images, traits, look=look)


def reopen_market(config: SimulatorConfig, scenario: Scenario, tables: Mapping[str, pd.DataFrame]) -> Market:
    """The marketplace that made `tables`, with the creatives that were added since; photos come from `images`."""
    look = look_of(tables["images"])
    catalogue = Catalogue(tables["campaigns"], tables["products"], tables["creatives"], tables["shoppers"])
    traits = creative_traits(catalogue.creatives, catalogue.products, tables["images"], look, scenario.sells)
    return _market(config, latent_law(config, scenario), catalogue, tables["images"], traits, look=look)


def _market(
    config: SimulatorConfig, law: Law, catalogue: Catalogue, images: pd.DataFrame, traits: Traits, *, look: Look
) -> Market:
    creatives = catalogue.creatives
    first, last = _active_days(creatives)
    on_shelf = product_traits(catalogue.products, images, look, law.scenario.sells)
    of_campaign = codes(catalogue.campaigns["locale"], words.LOCALES)
    product_locale = np.repeat(of_campaign, len(catalogue.products) // config.campaigns)
    prior = creatives["feature_prior"].fillna(0.0).to_numpy()  # a new creative has no score, so it gets the mean
    return Market(
        config=config,
        law=law,
        catalogue=catalogue,
        images=images,
        traits=traits,
        campaign=codes(creatives["campaign"], tuple(catalogue.campaigns["campaign"])),
        first_day=first,
        last_day=last,
        product_traits=on_shelf,
        shelves=stock_shelves(product_locale, on_shelf.category, law.scenario.sells),
        policy=logging_policy(config.seed, law.scenario.logging, prior, traits.template, law.shoppers),
    )


def latent_law(config: SimulatorConfig, scenario: Scenario) -> Law:
    """The law, drawn again from seed and scenario; no data set contains it."""
    shoppers = draw_shoppers(config, scenario)
    return Law(scenario, shoppers, tuple(draw_preferences(config, scenario, shoppers, epoch) for epoch in (0, 1)))


def look_of(images: pd.DataFrame) -> Look:
    """The look, fitted on the real photos in the table `images` that are not test photos."""
    real = images["image_id"].str.startswith(ID_PREFIX) & (images["split"].fillna(SPLITS[0]) == SPLITS[0])
    rows = images[real].sort_values("image_id").head(SAMPLE)
    pictures = [canonical(decode_grey(row.image, row.image_id)) for row in rows.itertuples()]
    return fit_look(np.rint(np.stack(pictures) * 255).astype(np.uint8))


def _active_days(creatives: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First and last active day of each creative (both int64 [m]); windows begin and end at midnight."""
    start = pd.Timestamp(START).tz_localize("UTC")
    first = (creatives["active_from"] - start) // pd.Timedelta(DAY)
    last = (creatives["active_until"] - start) // pd.Timedelta(DAY) - 1
    return first.fillna(0).to_numpy(np.int64), last.fillna(2**31).to_numpy(np.int64)
