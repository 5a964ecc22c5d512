"""The data set `storefront`: a real catalogue with colour photos, everything else from the simulator.

The catalogue is the sample shop in the npm package `@vendure/create` (MIT): 54 products with names, descriptions,
prices, and photos of about 1600 x 1067 pixels. Choices, and why:

- A product has several variants there; here it has the price of the first one, and one photo.
- `category` is the last and narrowest of a product's categories; `images` has no categories, as in most shops.
- Photos are stored as the package has them, JPEG and in all sizes.
- The catalogue names no currency; its prices are taken as euros.
- No category has 20 photos, too few to train a generator; the stage creatives says so, and the other stages run.
"""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

from components.contract.card import DatasetCard
from components.datasets.packages.npm_packages import download_npm_package
from components.datasets.packages.package_download import check_digest, filling
from components.settings.errors import UserError
from components.settings.sections import SimulatorConfig
from components.settings.shipped_datasets import STOREFRONT
from components.simulator import Goods
from components.simulator.catalogue import text_column
from components.simulator.photos.product_photos import ID_PREFIX
from components.simulator.simulated_shop import SimulatedShop

PACKAGE, VERSION = "@vendure/create", "1.9.7"
ARCHIVE = "vendure-create-1.9.7.tgz"
SHA256 = "730e949998c551d4562bf48a3ab075c5573e1748e8262d538d529d65e85e2272"
SHOP = SimulatedShop(
    name=STOREFRONT,
    shipped_scenario="storefront",
    assortment="storefront",
    source="Catalogue and photos of the npm package @vendure/create 1.9.7; shoppers, ads and clicks simulated",
    licence="catalogue and photos: MIT (Vendure); the rest: Apache-2.0",
    real=("products", "images"),
)


def load_archive(cache: Path) -> Path:
    """The path of the npm package, from the cache or a registry, checked by SHA-256; it is read and not installed."""
    folder = cache / "packages"
    with filling(cache):
        archive = folder / ARCHIVE
        if not archive.is_file():
            try:
                archive = download_npm_package(PACKAGE, VERSION, folder, SHA256)
            except UserError as error:
                raise UserError(
                    f"{STOREFRONT}: {error}. Install npm, or name your registry in the environment variable "
                    f"npm_config_registry, or put {ARCHIVE}, made elsewhere by `npm pack {PACKAGE}@{VERSION}`, into "
                    f"{folder}"
                ) from None
        return check_digest(archive, SHA256, STOREFRONT)


def build_tables(config: SimulatorConfig, archive: Path) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """All tables of the shop with the settings `config`, and its card."""
    SHOP.scenario(config)
    return SHOP.tables(config, read_goods(archive, config.campaigns))


def read_goods(archive: Path, campaigns: int) -> Goods:
    """The products and photos in the package, for `campaigns` that each advertise every category in turn.

    UserError if the archive is not the package that is expected.
    """
    try:
        with tarfile.open(archive) as package:
            catalogue = _read(package, "products.csv").decode("utf-8")
            rows = [row for row in _rows(catalogue) if row["name"]]  # a row without a name is a further variant
            rows.sort(key=lambda row: (_category(row), row["slug"]))
            rows = [rows[place] for place in np.argsort(np.arange(len(rows)) % campaigns, kind="stable")]
            photos = [_read(package, f"images/{row['assets']}") for row in rows]
        return Goods(_products(rows), _images(rows, photos))
    except (KeyError, IndexError, ValueError, EOFError, OSError, tarfile.TarError, csv.Error) as error:
        raise UserError(
            f"{STOREFRONT}: {archive} is not {PACKAGE}@{VERSION}: {str(error) or type(error).__name__}"
        ) from None


def _read(package: tarfile.TarFile, name: str) -> bytes:
    member = package.extractfile(f"package/assets/{name}")  # KeyError if there is none
    if member is None:
        raise KeyError(f"{name} is no file")
    return member.read()


def _rows(catalogue: str) -> list[dict[str, str]]:
    """The rows of the catalogue, whose cells are padded with blanks."""
    heading, *rows = csv.reader(io.StringIO(catalogue))
    names = [name.strip() for name in heading]
    return [dict(zip(names, (cell.strip() for cell in row), strict=True)) for row in rows]


def _category(row: dict[str, str]) -> str:
    """The last of a product's categories, such as Photo in `category:Electronics|category:Photo|brand:Sony`."""
    return _facets(row, "category")[-1]


def _facets(row: dict[str, str], kind: str) -> list[str]:
    facets = (facet.split(":", 1) for facet in row["facets"].split("|"))
    return [value for name, value in facets if name == kind]


def _photo_id(row: dict[str, str]) -> str:
    return f"{ID_PREFIX}{row['slug']}"


def _products(rows: list[dict[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": text_column(row["slug"] for row in rows),
            "category": text_column(map(_category, rows)),
            "title": text_column(row["name"] for row in rows),
            "brand": text_column(next(iter(_facets(row, "brand")), None) for row in rows),
            "description": text_column(row["description"] for row in rows),
            "price": [float(row["price"]) for row in rows],
            "image_id": text_column(map(_photo_id, rows)),
        }
    )


def _images(rows: list[dict[str, str]], photos: list[bytes]) -> pd.DataFrame:
    nothing = [None] * len(rows)
    return pd.DataFrame(
        {
            "image_id": text_column(map(_photo_id, rows)),
            "image": photos,
            "category": text_column(nothing),
            "split": text_column(nothing),
        }
    )
