"""The data set `marketplace`: real photos, everything else from the simulator."""

import pandas as pd

from components.contract.card import DatasetCard
from components.datasets.fashion_mnist import LICENCE
from components.settings.errors import UserError
from components.settings.sections import SimulatorConfig
from components.simulator import Photos, Scenario, load_scenario, simulate
from components.simulator.catalogue import CURRENCY
from components.simulator.simulate import ends_at

MARKETPLACE = "marketplace"
SHIPPED_SCENARIO = "baseline"  # of the data set that is called `marketplace`
SOURCE = "Fashion-MNIST photos (Zalando Research); shoppers, ads and clicks simulated by components/simulator"


def dataset_name(scenario: Scenario) -> str:
    """The data set's name: `marketplace` for the shipped scenario, `marketplace-<id>` for any other."""
    return MARKETPLACE if scenario.id == SHIPPED_SCENARIO else f"{MARKETPLACE}-{scenario.id}"


def build_tables(config: SimulatorConfig, photos: Photos) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """All tables of the simulated marketplace with the settings `config`, and its card."""
    scenario = load_scenario(config.scenario)
    if scenario.assortment != "fashion":
        raise UserError(f"{config.scenario}: this scenario sells {scenario.assortment}; marketplace sells fashion")
    tables = simulate(config, scenario, photos)
    real = ("images",)
    card = DatasetCard(
        name=dataset_name(scenario),
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
