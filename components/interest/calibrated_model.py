"""An interest model with its calibration: the form that policies, the ad pool and the registry use."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from components.interest.calibration import Platt
from components.interest.model_kinds import model_kind
from components.interest.model_protocol import InterestModel, Pairs
from components.interest.models.fact_effects import FactEffects, RequestFacts
from components.interest.new_pairs import new_pairs
from components.interest.request_scorer import RequestProbabilities, RequestRow, TableScorer, request_scorer
from components.settings.errors import UserError

# request, rows of the creatives int64 [n], pair features float32 [n, r], the place of the shown one -> of one decision
RequestEffects = Callable[[RequestRow, np.ndarray, np.ndarray, int], FactEffects]
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class CalibratedModel:
    """P(click | shopper, creative, context). pairs: names of the pair features that `model` expects, in its order."""

    model: InterestModel
    platt: Platt
    pairs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the model's kind, such as `logistic`."""
        return self.model.name

    def probabilities(self, pairs: Pairs) -> np.ndarray:
        """P(click) of n pairs, float64 [n] in (0, 1)."""
        return self.platt.probabilities(self.model.logits(pairs))

    def standard_errors(self, pairs: Pairs, decision: np.ndarray) -> np.ndarray:
        """Of the calibrated log-odds against their mean over each decision, float64 [n]: see InterestModel.

        UserError if the model has none.
        """
        errors = getattr(self.model, "standard_errors", None)
        if errors is None:
            raise UserError(
                f"the interest model {self.name} gives no standard errors, which the policy needs; choose another "
                "policy (evaluation.policy.name), or interest.models that give them"
            )
        return self.platt.slope * errors(pairs, decision)

    def fact_effects(self, pairs: Pairs, decision: np.ndarray, shown: np.ndarray) -> FactEffects | None:
        """What each fact adds to the calibrated log-odds of the shown creatives (models/fact_effects.py).

        None if the kind of model cannot say it.
        """
        effects = getattr(self.model, "fact_effects", None)
        if effects is None:
            return None
        found = effects(pairs, decision, shown)
        return replace(found, effects=self.platt.slope * found.effects)

    def predict(self, impressions: pd.DataFrame, creatives: pd.DataFrame) -> np.ndarray:
        """P(click) of every pair of m impressions and n creatives, from their feature rows: float64 [m, n] in (0, 1).

        Assumes that no shopper has seen these creatives (`new_pairs`); `predict_pairs` uses what each has seen.
        """
        m, n = len(impressions), len(creatives)
        pairs = new_pairs(impressions, creatives, np.repeat(np.arange(m), n), np.tile(np.arange(n), m), self.pairs)
        return self.probabilities(pairs).reshape(m, n)

    def for_requests(
        self, creatives: pd.DataFrame, columns: tuple[str, ...], pairs: tuple[str, ...]
    ) -> RequestProbabilities:
        """P(click) of one request at a time: as `probabilities`, up to the rounding of float32 products.

        creatives: feature rows; columns, pairs: names of a request's features and of pair features, in their order.
        UserError if the model was trained with others too.
        """
        scorer = request_scorer(self.model, creatives, columns, pairs)
        return lambda request, creative, values: self.platt.probabilities(scorer.logits(request, creative, values))

    def errors_for_requests(
        self, creatives: pd.DataFrame, columns: tuple[str, ...], pairs: tuple[str, ...]
    ) -> RequestProbabilities:
        """The standard errors of the probabilities of `for_requests`, without what all creatives of a request share.

        Computed through tables of one row. UserError if the model has none.
        """
        probabilities = self.for_requests(creatives, columns, pairs)
        tables = TableScorer(self.model, creatives, tuple(columns), tuple(pairs))

        def errors(request: RequestRow, creative: np.ndarray, values: np.ndarray) -> np.ndarray:
            probability = probabilities(request, creative, values)
            chosen = tables.pairs_of(request, creative, values)
            return self.standard_errors(chosen, chosen.row) * probability * (1 - probability)

        return errors

    def facts_for_requests(
        self, creatives: pd.DataFrame, columns: tuple[str, ...], pairs: tuple[str, ...]
    ) -> RequestEffects | None:
        """`fact_effects` of one request at a time, for the arguments of `for_requests`.

        None if the kind of model cannot say it.
        """
        make = getattr(self.model, "request_facts", None)
        if make is None:
            return None
        facts: RequestFacts = make(creatives, columns, pairs)

        def effects(request: RequestRow, creative: np.ndarray, values: np.ndarray, shown: int) -> FactEffects:
            found = facts.effects(request, creative, values, shown)
            return replace(found, effects=self.platt.slope * found.effects)

        return effects

    def files(self) -> dict[str, bytes]:
        """File name -> bytes: the model's files and its calibration."""
        about = {"model": self.name, "pairs": list(self.pairs), **asdict(self.platt)}
        return {**self.model.files(), CALIBRATION_FILE: (json.dumps(about, sort_keys=True) + "\n").encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "CalibratedModel":
        """The model that `files` wrote. Imports TensorFlow only if the model is a network."""
        try:
            about = json.loads(files[CALIBRATION_FILE])
            platt = Platt(float(about["slope"]), float(about["shift"]), float(about["centre"]))
            kind, pairs = about["model"], tuple(str(name) for name in about["pairs"])
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{CALIBRATION_FILE} of an interest model is missing or damaged: {error}") from None
        return cls(model_kind(kind).read(files), platt, pairs)
