"""A model of interest with its calibration: what the policy, the ad pool and the registry hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from components.interest.calibration import Platt
from components.interest.model_kinds import kind_of
from components.interest.model_protocol import InterestModel, Pairs
from components.interest.new_pairs import new_pairs
from components.settings.errors import UserError

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class CalibratedModel:
    """P(click | shopper, creative, context). pairs: columns of the pair features that `model` expects."""

    model: InterestModel
    platt: Platt
    pairs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The kind of model inside, such as `logistic`."""
        return self.model.name

    def probabilities(self, pairs: Pairs) -> np.ndarray:
        """n pairs -> P(click), float64 [n] in (0, 1)."""
        return self.platt.probabilities(self.model.logits(pairs))

    def predict(self, impressions: pd.DataFrame, creatives: pd.DataFrame) -> np.ndarray:
        """m rows of impression features, n of creative features -> P(click) of each pair, float64 [m, n] in (0, 1).

        For creatives that the shoppers have not seen before (`new_pairs`); `predict_pairs` knows what each had seen.
        """
        m, n = len(impressions), len(creatives)
        pairs = new_pairs(impressions, creatives, np.repeat(np.arange(m), n), np.tile(np.arange(n), m), self.pairs)
        return self.probabilities(pairs).reshape(m, n)

    def files(self) -> dict[str, bytes]:
        """The model's files and its calibration, by name."""
        about = {"model": self.name, "pairs": list(self.pairs), **asdict(self.platt)}
        return {**self.model.files(), CALIBRATION_FILE: (json.dumps(about, sort_keys=True) + "\n").encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "CalibratedModel":
        """What `files` wrote -> model. Imports TensorFlow only where a network is stored."""
        try:
            about = json.loads(files[CALIBRATION_FILE])
            platt = Platt(float(about["slope"]), float(about["shift"]), float(about["centre"]))
            kind, pairs = about["model"], tuple(str(name) for name in about["pairs"])
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{CALIBRATION_FILE} of an interest model is missing or damaged: {error}") from None
        return cls(kind_of(kind).read(files), platt, pairs)
