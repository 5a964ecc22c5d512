"""The policy's table as an MLflow model, which looks up decisions.parquet. MLflow runs this file to load the model."""

import mlflow.models
import pandas as pd
from mlflow.pyfunc import PythonModel

CELL = ["segment", "placement", "campaign"]
FALLBACKS = ({"segment": "any"}, {"segment": "any", "placement": "any"})  # in this order, for cells not in the table


class Lookup(PythonModel):
    """Maps each (segment, placement, campaign) to its creatives and their probabilities."""

    def load_context(self, context) -> None:
        """Read the decisions logged with the model."""
        self.decisions = pd.read_parquet(context.artifacts["decisions"])

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """The decisions for model_input (columns segment, placement, campaign), in its order."""
        known = pd.MultiIndex.from_frame(self.decisions[CELL])
        cells = model_input[CELL].reset_index(drop=True)
        for fallback in FALLBACKS:
            missing = ~pd.MultiIndex.from_frame(cells).isin(known)
            cells.loc[missing, list(fallback)] = list(fallback.values())
        return cells.merge(self.decisions, on=CELL, how="left")


mlflow.models.set_model(Lookup())
