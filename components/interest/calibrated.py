"""A model of interest with its calibration: what the policy, the ad pool and the registry hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from components.errors import UserError
from components.interest.calibration import Platt
from components.interest.kinds import kind_of
from components.interest.protocol import InterestModel, Pairs

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class CalibratedModel:
    """P(click | shopper, creative, context). repeats: columns of pair history that `model` expects."""

    model: InterestModel
    platt: Platt
    repeats: int

    @property
    def name(self) -> str:
        """The kind of model inside, such as `logistic`."""
        return self.model.name

    def probabilities(self, pairs: Pairs) -> np.ndarray:
        """n pairs -> P(click), float64 [n] in (0, 1)."""
        return self.platt.probabilities(self.model.logits(pairs))

    def predict(self, impressions: pd.DataFrame, creatives: pd.DataFrame) -> np.ndarray:
        """n rows of impression features and n of creative features, aligned -> P(click), float64 [n] in (0, 1).

        For creatives that the shoppers have not seen before; `predict_pairs` knows what each had been shown.
        """
        if len(impressions) != len(creatives):
            raise UserError(f"predict: {len(impressions)} impressions do not pair with {len(creatives)} creatives")
        rows = np.arange(len(impressions))
        unseen = np.zeros((len(rows), self.repeats), dtype=np.float32)
        return self.probabilities(Pairs(impressions, creatives, rows, rows, unseen))

    def files(self) -> dict[str, bytes]:
        """The model's files and its calibration, by name."""
        about = {"model": self.name, "repeats": self.repeats, **asdict(self.platt)}
        return {**self.model.files(), CALIBRATION_FILE: (json.dumps(about, sort_keys=True) + "\n").encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "CalibratedModel":
        """What `files` wrote -> model. Imports TensorFlow only where a network is stored."""
        try:
            about = json.loads(files[CALIBRATION_FILE])
            platt = Platt(float(about["slope"]), float(about["shift"]), float(about["centre"]))
            kind, repeats = about["model"], int(about["repeats"])
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{CALIBRATION_FILE} of an interest model is missing or damaged: {error}") from None
        return cls(kind_of(kind).read(files), platt, repeats)
