"""The policy's table as an MLflow model, from code: looks decisions.parquet up. MLflow runs this file to load it."""

import mlflow.models
import mlflow.pyfunc
import pandas as pd

CELL = ["segment", "placement", "campaign"]
WIDER = ({"segment": "any"}, {"segment": "any", "placement": "any"})  # what is asked instead where a cell is not there


class Lookup(mlflow.pyfunc.PythonModel):
    """Answers each asked (segment, placement, campaign) with its creatives and their probabilities."""

    def load_context(self, context) -> None:
        """Read the decisions that were logged with the model."""
        self.decisions = pd.read_parquet(context.artifacts["decisions"])

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """model_input: columns segment, placement, campaign -> the rows of the cells that serve them, in that order."""
        cells = pd.MultiIndex.from_frame(self.decisions[CELL])
        asked = model_input[CELL].reset_index(drop=True)
        for wider in WIDER:
            missing = ~pd.MultiIndex.from_frame(asked).isin(cells)
            asked.loc[missing, list(wider)] = list(wider.values())
        return asked.merge(self.decisions, on=CELL, how="left")


mlflow.models.set_model(Lookup())
