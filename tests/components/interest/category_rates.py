"""A model kind that tests add to MODEL_KINDS by one line: the click rate of the creative's category."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from components.features import Features
from components.interest.model_kinds import ModelKind
from components.interest.model_protocol import Pairs
from components.settings.sections import Section

FILE, COLUMN = "category_rates.json", "creative_category:"


class CategoryRatesConfig(Section):
    """Settings of `interest.category_rates`."""

    prior_impressions: Annotated[float, Field(gt=0)] = 50.0  # at the base rate, that every category begins with


@dataclass(frozen=True)
class CategoryRates:
    """log_odds: column of a category -> log-odds of a click; base: log-odds of a creative without a category."""

    log_odds: Mapping[str, float]
    base: float
    name: str = "category_rates"

    def logits(self, pairs: Pairs) -> np.ndarray:
        """Log-odds of a click of n pairs, float64 [n]."""
        share = pairs.creatives[list(self.log_odds)].to_numpy(dtype=float)
        logit = share @ np.array(list(self.log_odds.values())) + (1 - share.sum(axis=1)) * self.base
        return logit[pairs.column]

    def files(self) -> dict[str, bytes]:
        """One JSON file."""
        return {FILE: json.dumps({"log_odds": dict(self.log_odds), "base": self.base}, sort_keys=True).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "CategoryRates":
        """The model that `files` wrote."""
        return cls(**json.loads(files[FILE]))


def train_category_rates(
    features: Features, training: Pairs, click: np.ndarray, config: CategoryRatesConfig, seed: int
) -> CategoryRates:
    """Click rates by the shown creative's category, shrunk towards the base rate."""
    columns = [name for name in training.creatives if name.startswith(COLUMN)]
    shown = training.creatives[columns].to_numpy(dtype=float)[training.column]
    rate = (click @ shown + config.prior_impressions * click.mean()) / (shown.sum(axis=0) + config.prior_impressions)
    odds = dict(zip(columns, (float(value) for value in np.log(rate / (1 - rate))), strict=True))
    return CategoryRates(odds, float(np.log(click.mean() / (1 - click.mean()))))


KIND = ModelKind(train_category_rates, CategoryRates.from_files, CategoryRatesConfig)
