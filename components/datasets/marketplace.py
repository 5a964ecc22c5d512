"""Real photos and the simulator -> the data set `marketplace`."""

import pandas as pd

from components.contract.card import DatasetCard
from components.datasets.fashion_mnist import LICENCE
from components.settings.sections import SimulatorConfig
from components.simulator import Photos, Scenario, load_scenario, simulate
from components.simulator.catalogue import CURRENCY
from components.simulator.simulate import ends_at

NAME = "marketplace"
SHIPPED = "baseline"  # the scenario that the plain name stands for
SOURCE = "Fashion-MNIST photos (Zalando Research); shoppers, ads and clicks simulated by components/simulator"


def name_of(scenario: Scenario) -> str:
    """The data set's name: that of another scenario than the shipped one keeps out of its way."""
    return NAME if scenario.id == SHIPPED else f"{NAME}-{scenario.id}"


def build_tables(config: SimulatorConfig, photos: Photos) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """Every table of the marketplace that `config` describes, and its card."""
    scenario = load_scenario(config.scenario)
    tables = simulate(config, scenario, photos)
    real = ("images",)
    card = DatasetCard(
        name=name_of(scenario),
        source=SOURCE,
        licence=f"photos: {LICENCE}; the rest: Apache-2.0",
        real=real,
        simulated=tuple(name for name in tables if name not in real),
        currency=CURRENCY,
        conversion_window_days=scenario.conversion.window_days,
        ends_at=ends_at(config).to_pydatetime(),
        simulator=config,
    )
    return tables, card
