"""Name, folder and settings -> a data set on disk; and whether a shipped one is as committed."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from upath import UPath

from components.contract.card import CARD_FILE, read_card
from components.contract.files.atomic_files import recover_folder
from components.datasets import marketplace, openbandit
from components.datasets.dataset_files import write_dataset
from components.datasets.fashion_mnist import load_photos
from components.datasets.package_download import DEFAULT_CACHE
from components.datasets.shipped_digests import SHIPPED, differences, due_digests
from components.settings.errors import UserError
from components.settings.file_names import check_dataset_name
from components.settings.sections import SimulatorConfig
from components.simulator import load_scenario, scenario_names
from components.simulator.simulate import ends_at

SCENARIO = "scenario.yaml"  # a user's own scenario, kept with the data that it made
COPY_OF_PHOTOS = "ADLOOM_FASHION_MNIST"  # environment variable that names a folder with the four files


@dataclass(frozen=True)
class Built:
    """Where data set `name` lies; `fresh` is False where it was there already: right to the byte, or gone on since."""

    name: str
    folder: UPath
    fresh: bool


def build(name: str, data_folder: UPath, config: SimulatorConfig, cache: Path = DEFAULT_CACHE) -> Built:
    """Data set `name` (marketplace or openbandit) -> a folder below `data_folder`.

    A scenario other than the shipped one makes `marketplace-<id>`. What was built with other settings is never
    overwritten. Downloads are kept in `cache`.
    """
    if name not in SHIPPED:
        raise UserError(f"{name}: no data set of that name comes with Adloom; there are {', '.join(SHIPPED)}")
    if name == openbandit.NAME:
        return _build_openbandit(UPath(data_folder), cache)
    return _build_marketplace(UPath(data_folder), config, cache)


def verify(data_folder: UPath, name: str) -> int:
    """Number of files of the shipped data set `name`, all of them as committed; else a UserError that names them."""
    folder, due = UPath(data_folder) / name, due_digests(name)
    if not folder.is_dir():
        raise UserError(f"{name}: no folder {folder}; `adloom data build {name}` makes it")
    wrong = differences(folder, due)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"{name}: not as committed in {folder}: {', '.join(wrong[:3])}{more}")
    return len(due)


def _build_openbandit(data_folder: UPath, cache: Path) -> Built:
    folder = data_folder / openbandit.NAME
    recover_folder(folder)
    if _is_right(folder, openbandit.NAME):
        return Built(openbandit.NAME, folder, fresh=False)
    tables, card = openbandit.build_tables(openbandit.load_wheel(cache))
    write_dataset(tables, card, folder)
    return Built(openbandit.NAME, folder, fresh=True)


def _build_marketplace(data_folder: UPath, config: SimulatorConfig, cache: Path) -> Built:
    name = check_dataset_name(marketplace.name_of(load_scenario(config.scenario)))
    folder = data_folder / name
    recover_folder(folder)
    _refuse_other_settings(folder, config)
    if _went_on(folder, config) or (config == SimulatorConfig() and _is_right(folder, name)):
        return Built(name, folder, fresh=False)
    existing = os.environ.get(COPY_OF_PHOTOS)
    photos = load_photos(Path(existing) if existing else None, cache)
    tables, card = marketplace.build_tables(config, photos)
    if config.scenario in scenario_names():
        write_dataset(tables, card, folder)
    else:
        # The truth needs the scenario as it was, whatever becomes of the user's file.
        kept = config.model_copy(update={"scenario": str(folder / SCENARIO)})
        note = yaml.safe_dump(load_scenario(config.scenario).model_dump(), sort_keys=False)
        write_dataset(tables, card.model_copy(update={"simulator": kept}), folder, {SCENARIO: note})
    return Built(name, folder, fresh=True)


def _went_on(folder: UPath, config: SimulatorConfig) -> bool:
    """Whether days were added to what was built: the user's own, which no build replaces."""
    return (folder / CARD_FILE).is_file() and read_card(folder).ends_at > ends_at(config)


def _is_right(folder: UPath, name: str) -> bool:
    return folder.is_dir() and not differences(folder, due_digests(name))


def _refuse_other_settings(folder: UPath, config: SimulatorConfig) -> None:
    """A folder built with other settings, or by somebody else, is not ours to replace."""
    if not (folder / CARD_FILE).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{folder}: holds files but no {CARD_FILE}, so it was not built here; move it away first")
        return
    built = read_card(folder).simulator
    if built is None:
        raise UserError(f"{folder}: was not built from the simulated marketplace; move it away first")
    changed = [key for key, value in config.model_dump().items() if value != getattr(built, key)]
    if "scenario" in changed and load_scenario(built.scenario) == load_scenario(config.scenario):
        changed.remove("scenario")  # the copy that the data set keeps
    if changed:
        was = ", ".join(f"{key} {getattr(built, key)} (now {getattr(config, key)})" for key in changed)
        raise UserError(f"{folder}: was built with other settings: {was}; delete it first, or build elsewhere")
