from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from components.datasets.fashion_mnist import load_photos
from components.settings.sections import SimulatorConfig
from components.simulator import load_scenario
from components.simulator.market import Market, open_market
from components.simulator.simulate import simulate_log

SIZES = {"shoppers": 3000, "campaigns": 4, "creatives_per_campaign": 60, "events": 14, "days": 14}


@dataclass(frozen=True)
class Log:
    """A drawn log with the rows behind its ids. Per impression [n]: shopper, creative, click, hour, day; per candidate
    [n_pairs]: `row` of its impression, `option` (row of the creative), propensity and whether it was the one shown."""

    market: Market
    impressions: pd.DataFrame
    shopper: np.ndarray
    creative: np.ndarray
    click: np.ndarray
    row: np.ndarray
    option: np.ndarray
    propensity: np.ndarray
    shown: np.ndarray

    @property
    def of_person(self):
        return ~self.market.law.shoppers.bot[self.shopper]

    def column(self, name):
        return self.impressions[name].to_numpy()


def rows_of(ids, keys):
    """Row of each id in `keys`, int64."""
    return pc.index_in(pa.array(ids), value_set=pa.array(keys).cast(pa.array(ids).type)).to_numpy().astype(np.int64)


def log_of(market, impressions, candidates):
    shopper = rows_of(impressions["shopper_id"], market.law.shoppers.ids)
    creative = rows_of(impressions["creative_id"], market.catalogue.creatives["creative_id"])
    row = rows_of(candidates["impression_id"], impressions["impression_id"])
    option = rows_of(candidates["creative_id"], market.catalogue.creatives["creative_id"])
    click, propensity = impressions["click"].to_numpy(), candidates["propensity"].to_numpy()
    return Log(market, impressions, shopper, creative, click, row, option, propensity, option == creative[row])


@pytest.fixture(scope="session")
def photos():
    return load_photos().head(2000, 300)


@pytest.fixture(scope="session")
def bright(photos):
    """A log of a scenario with its effects as they are, but with clicks of 20 %, for power at a small size."""
    made = {}

    def make(scenario_id, impressions=100_000, **changes):
        key = scenario_id, impressions, repr(changes)
        if key not in made:
            config = SimulatorConfig(scenario=scenario_id, seed=7, impressions=impressions, **SIZES)
            scenario = load_scenario(scenario_id).model_copy(update={"click_rate": 0.2, **changes})
            market = open_market(config, scenario, photos)
            made[key] = log_of(market, *simulate_log(market))
        return made[key]

    return make
