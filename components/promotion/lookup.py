"""The policy as an MLflow model, from code: looks up decisions.parquet. MLflow runs this file to load the model."""

import mlflow.models
import mlflow.pyfunc
import pandas as pd

CELL = ["segment", "placement", "campaign"]


class Lookup(mlflow.pyfunc.PythonModel):
    """Answers each asked (segment, placement, campaign) with its creatives and probabilities."""

    def load_context(self, context) -> None:
        """Read the decisions that were logged with the model."""
        self.decisions = pd.read_parquet(context.artifacts["decisions"])

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        """model_input: columns segment, placement, campaign -> their rows of decisions.parquet, in that order."""
        return model_input[CELL].merge(self.decisions, on=CELL, how="left")


mlflow.models.set_model(Lookup())
