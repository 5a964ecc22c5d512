"""The interest model, read from the outputs of its stage."""

from components.contract.files.tables import files_in
from components.interest import CalibratedModel
from components.settings.paths import Paths


def interest_model(paths: Paths) -> CalibratedModel:
    """The calibrated interest model."""
    return CalibratedModel.from_files(files_in(paths.stage("interest") / "model" / "interest"))
