"""The pool of new creatives, read from the outputs of the creatives stage or from a policy's package."""

import pandas as pd
from upath import UPath

from components.contract.files.tables import read_frame
from components.settings.paths import Paths


def pool_creatives(paths: Paths) -> pd.DataFrame | None:
    """The new creatives in the contract's columns; None if there are none."""
    file = paths.stage("creatives") / "pool" / "creatives.parquet"
    return read_frame(file) if file.exists() else None


def shows_generated(package: UPath) -> bool:
    """Whether a policy's pool has generated images, for which the generators must have passed their gate."""
    images = package / "pool" / "images.parquet"
    return images.exists() and len(read_frame(images)) > 0
