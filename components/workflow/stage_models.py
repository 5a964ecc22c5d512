"""The interest model and the pool of creatives, read from the outputs of their stages."""

import pandas as pd

from components.contract.files.tables import files_in, read_frame
from components.interest import CalibratedModel
from components.settings.paths import Paths


def interest_model(paths: Paths) -> CalibratedModel:
    """The calibrated interest model."""
    return CalibratedModel.from_files(files_in(paths.stage("interest") / "model" / "interest"))


def pool_creatives(paths: Paths) -> pd.DataFrame | None:
    """The new creatives in the contract's columns; None if there are none."""
    file = paths.stage("creatives") / "pool" / "creatives.parquet"
    return read_frame(file) if file.exists() else None
