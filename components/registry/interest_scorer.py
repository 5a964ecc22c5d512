"""An interest model without a flavour of its own as an MLflow model. MLflow runs this file to load the model."""

from pathlib import Path

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from components.interest import CalibratedModel
from components.interest.new_pairs import new_pairs


class Scorer(PythonModel):
    """Maps features of pairs to P(click)."""

    def load_context(self, context) -> None:
        """Read the files logged with the model."""
        folder = Path(context.artifacts["model"])
        self.model = CalibratedModel.from_files({file.name: file.read_bytes() for file in folder.iterdir()})

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """p_click, float64 in (0, 1), for creatives that the shopper has not seen before.

        model_input: a row per pair, with the feature columns of its impression and of its creative.
        """
        rows = np.arange(len(model_input))
        pairs = new_pairs(model_input, model_input, rows, rows, self.model.pairs)
        return pd.DataFrame({"p_click": self.model.probabilities(pairs)})


mlflow.models.set_model(Scorer())
