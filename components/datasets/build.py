"""Build a data set that comes with Adloom, and verify a shipped one against its committed digests."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from upath import UPath

from components.contract.card import CARD_FILE, read_card
from components.contract.files.atomic_files import recover_folder
from components.datasets import marketplace, openbandit, storefront
from components.datasets.dataset_files import write_dataset
from components.datasets.fashion_mnist import load_photos
from components.datasets.packages.package_download import DEFAULT_CACHE
from components.datasets.shipped_digests import committed_digests, differences
from components.settings.errors import UserError
from components.settings.file_names import check_dataset_name
from components.settings.sections import SimulatorConfig
from components.settings.shipped_datasets import ALL_SHIPPED, MARKETPLACE, OPENBANDIT, STOREFRONT
from components.simulator import Goods, Photos, load_scenario, scenario_names
from components.simulator.simulate import ends_at
from components.simulator.simulated_shop import SimulatedShop

SCENARIO_FILE = "scenario.yaml"  # the user's scenario, stored with the data set that it made
PHOTOS_VARIABLE = "ADLOOM_FASHION_MNIST"  # environment variable: a folder with the four files


@dataclass(frozen=True)
class Built:
    """The folder of data set `name`; fresh: False if it existed already, as committed or with days added since."""

    name: str
    folder: UPath
    fresh: bool


def build(name: str, data_folder: UPath, config: SimulatorConfig, cache: Path = DEFAULT_CACHE) -> Built:
    """Data set `name` (of ALL_SHIPPED), built in a folder below `data_folder`.

    A scenario other than the shipped one makes `marketplace-<id>` or `storefront-<id>`. UserError, before any download,
    if the scenario sells another assortment or the folder was built with other settings. Downloads are stored in
    `cache`.
    """
    if name not in ALL_SHIPPED:
        raise UserError(f"{name}: no data set of that name comes with Adloom; there are {', '.join(ALL_SHIPPED)}")
    if name == OPENBANDIT:
        return _build_openbandit(UPath(data_folder), cache)
    shop, load_goods = SHOPS[name]
    return _build_simulated(shop, lambda: load_goods(config, cache), UPath(data_folder), config)


def verify(data_folder: UPath, name: str) -> int:
    """Number of files of the shipped data set `name`, if all are as committed; else a UserError that names others."""
    folder, digests = UPath(data_folder) / name, committed_digests(name)
    if not folder.is_dir():
        raise UserError(f"{name}: no folder {folder}; `adloom data build {name}` makes it")
    wrong = differences(folder, digests)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"{name}: not as committed in {folder}: {', '.join(wrong[:3])}{more}")
    return len(digests)


def _build_openbandit(data_folder: UPath, cache: Path) -> Built:
    folder = data_folder / OPENBANDIT
    recover_folder(folder)
    if _is_as_committed(folder, OPENBANDIT):
        return Built(OPENBANDIT, folder, fresh=False)
    tables, card = openbandit.build_tables(openbandit.load_wheel(cache))
    write_dataset(tables, card, folder)
    return Built(OPENBANDIT, folder, fresh=True)


def _build_simulated(
    shop: SimulatedShop, load_goods: Callable[[], Photos | Goods], data_folder: UPath, config: SimulatorConfig
) -> Built:
    name = check_dataset_name(shop.dataset_name(shop.scenario(config)))
    folder = data_folder / name
    recover_folder(folder)
    _refuse_other_settings(folder, config)
    if _has_added_days(folder, config) or (name in ALL_SHIPPED and _is_as_committed(folder, name)):
        return Built(name, folder, fresh=False)
    tables, card = shop.tables(config, load_goods())
    if config.scenario in scenario_names():
        write_dataset(tables, card, folder)
    else:
        # The truth is computed from this copy of the scenario, since the user's file may change.
        copied = config.model_copy(update={"scenario": str(folder / SCENARIO_FILE)})
        note = yaml.safe_dump(load_scenario(config.scenario).model_dump(), sort_keys=False)
        write_dataset(tables, card.model_copy(update={"simulator": copied}), folder, {SCENARIO_FILE: note})
    return Built(name, folder, fresh=True)


def _photos(config: SimulatorConfig, cache: Path) -> Photos:
    existing = os.environ.get(PHOTOS_VARIABLE)
    return load_photos(Path(existing) if existing else None, cache)


def _catalogue(config: SimulatorConfig, cache: Path) -> Goods:
    return storefront.read_goods(storefront.load_archive(cache), config.campaigns)


# by the name of a data set: the shop, and the function that loads what it sells
SHOPS: dict[str, tuple[SimulatedShop, Callable[[SimulatorConfig, Path], Photos | Goods]]] = {
    MARKETPLACE: (marketplace.SHOP, _photos),
    STOREFRONT: (storefront.SHOP, _catalogue),
}


def _has_added_days(folder: UPath, config: SimulatorConfig) -> bool:
    """Whether the user added days to the built data set, which a build must not replace."""
    return (folder / CARD_FILE).is_file() and read_card(folder).ends_at > ends_at(config)


def _is_as_committed(folder: UPath, name: str) -> bool:
    return folder.is_dir() and not differences(folder, committed_digests(name))


def _refuse_other_settings(folder: UPath, config: SimulatorConfig) -> None:
    """UserError if `folder` was built with other settings, or not by Adloom, since a build would replace it."""
    if not (folder / CARD_FILE).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{folder}: holds files but no {CARD_FILE}, so it was not built here; move it away first")
        return
    built = read_card(folder).simulator
    if built is None:
        raise UserError(f"{folder}: was not built from a simulated shop; move it away first")
    changed = [key for key, value in config.model_dump().items() if value != getattr(built, key)]
    if "scenario" in changed and load_scenario(built.scenario) == load_scenario(config.scenario):
        changed.remove("scenario")  # the data set's copy of the same scenario
    if changed:
        before = ", ".join(f"{key} {getattr(built, key)} (now {getattr(config, key)})" for key in changed)
        raise UserError(f"{folder}: was built with other settings: {before}; delete it first, or build elsewhere")
