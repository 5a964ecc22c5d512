"""A data set with a real catalogue or photos, and everything else from the simulator: its name, tables and card."""

from dataclasses import dataclass

import pandas as pd

from components.contract.card import DatasetCard
from components.settings.errors import UserError
from components.settings.sections import SimulatorConfig
from components.simulator.catalogue import CURRENCY
from components.simulator.photos.product_photos import Goods, Photos
from components.simulator.scenario import Scenario, load_scenario
from components.simulator.simulate import TABLE_NAMES, ends_at, simulate


@dataclass(frozen=True)
class SimulatedShop:
    """What the simulated data sets differ in.

    name: of the data set with the scenario whose id is `shipped_scenario`; other scenarios add their id to it.
    assortment: what its scenarios sell. source, licence: for the card. real: names of the tables that are not
    simulated.
    """

    name: str
    shipped_scenario: str
    assortment: str
    source: str
    licence: str
    real: tuple[str, ...]

    def scenario(self, config: SimulatorConfig) -> Scenario:
        """The scenario of `config`; UserError if it sells another assortment."""
        scenario = load_scenario(config.scenario)
        if scenario.assortment != self.assortment:
            raise UserError(
                f"{self.name}: simulator.scenario {config.scenario} sells {scenario.assortment}; write "
                f"`{self.shipped_scenario}`, or a file that begins with `extends: {self.shipped_scenario}`"
            )
        return scenario

    def dataset_name(self, scenario: Scenario) -> str:
        """The name of the data set with this scenario: `<name>`, or `<name>-<id>` if it is not the shipped one."""
        return self.name if scenario.id == self.shipped_scenario else f"{self.name}-{scenario.id}"

    def tables(self, config: SimulatorConfig, goods: Photos | Goods) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
        """All tables of the shop with the settings `config`, and its card."""
        return simulate(config, self.scenario(config), goods), self.card(config)

    def card(self, config: SimulatorConfig) -> DatasetCard:
        """The card of the shop with the settings `config`."""
        scenario = self.scenario(config)
        return DatasetCard(
            name=self.dataset_name(scenario),
            source=self.source,
            licence=self.licence,
            real=self.real,
            simulated=tuple(name for name in TABLE_NAMES if name not in self.real),
            currency=CURRENCY,
            conversion_window_days=scenario.conversion.window_days,
            ends_at=ends_at(config).to_pydatetime(),
            simulator=config,
        )
