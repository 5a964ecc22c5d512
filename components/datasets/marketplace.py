"""The data set `marketplace`: real photos, everything else from the simulator."""

import pandas as pd

from components.contract.card import DatasetCard
from components.datasets.fashion_mnist import LICENCE
from components.settings.sections import SimulatorConfig
from components.settings.shipped_datasets import MARKETPLACE
from components.simulator import Photos
from components.simulator.simulated_shop import SimulatedShop

SHOP = SimulatedShop(
    name=MARKETPLACE,
    shipped_scenario="baseline",
    assortment="fashion",
    source="Fashion-MNIST photos (Zalando Research); shoppers, ads and clicks simulated by components/simulator",
    licence=f"photos: {LICENCE}; the rest: Apache-2.0",
    real=("images",),
)


def build_tables(config: SimulatorConfig, photos: Photos) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """All tables of the simulated marketplace with the settings `config`, and its card."""
    return SHOP.tables(config, photos)
