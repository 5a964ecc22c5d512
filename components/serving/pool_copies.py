"""Copies of the pools of champions that acted: `collect` needs a new creative's row when its champion is gone."""

import os
from pathlib import Path

import pandas as pd
from upath import UPath

from components.contract.files.tables import read_frame, write_table

POOLS = "pools"
TABLES = ("creatives", "images")


def copy_pool(package: UPath, digest: str, folder: Path) -> None:
    """Copy the pool's tables of a checked package to the service's folder, unless they are there."""
    target = UPath(folder) / POOLS / digest[:16]
    for name in TABLES:
        source = package / "pool" / f"{name}.parquet"
        if source.exists() and not (target / f"{name}.parquet").exists():
            write_table(read_frame(source), target / f"{name}.parquet")


def pool_copies(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The creatives and the images of all copied pools, each id once."""
    joined = []
    for name, key in zip(TABLES, ("creative_id", "image_id"), strict=True):
        root = folder / POOLS
        files = sorted(root.glob(f"*/{name}.parquet"), key=os.path.getmtime) if root.is_dir() else []
        tables = [read_frame(UPath(file)) for file in files]
        empty = pd.DataFrame({key: pd.Series(dtype="str"), "image_id": pd.Series(dtype="str")})
        joined.append(pd.concat(tables, ignore_index=True).drop_duplicates(key) if tables else empty)
    return joined[0], joined[1]
