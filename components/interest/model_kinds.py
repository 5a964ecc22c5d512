"""The kinds of interest models, simplest first. A new one is one file and one line in MODEL_KINDS.

`interest.models` chooses among them. A kind's framework is imported when a model is trained or read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from components.features import Features
from components.interest.model_protocol import InterestModel, Pairs
from components.interest.models.logistic import Logistic, train_logistic
from components.interest.models.two_tower import Network, NetworkConfig, train_network
from components.settings.errors import UserError
from components.settings.sections import InterestConfig, NoSettings, Section
from components.settings.typed_settings import kind_settings


class Flavour(Enum):
    """The MLflow flavour in which registry/mlflow_flavours.py logs a model."""

    SKLEARN = "sklearn"  # a fitted scikit-learn estimator, saved as skops
    KERAS = "keras"
    PYFUNC = "pyfunc"  # Adloom's own: the model's files and code that maps features of pairs to P(click)


@dataclass(frozen=True)
class ModelKind:
    """A kind of interest model.

    train: features, training pairs in order of time, clicks 0/1 [n], the kind's settings, a seed -> model. read: files
    -> model. settings: the type of the section `interest.<name>`. native: model -> the object that its MLflow flavour
    logs; unused by PYFUNC. has_errors: whether its models have `standard_errors`.
    """

    train: Callable[[Features, Pairs, np.ndarray, Section, int], InterestModel]
    read: Callable[[Mapping[str, bytes]], InterestModel]
    settings: type[Section] = NoSettings
    flavour: Flavour = Flavour.PYFUNC
    native: Callable[[Any], object] = lambda model: model
    has_errors: bool = False


MODEL_KINDS: dict[str, ModelKind] = {
    "logistic": ModelKind(
        train_logistic,
        Logistic.from_files,
        flavour=Flavour.SKLEARN,
        native=lambda model: model.estimator,
        has_errors=True,
    ),
    "network": ModelKind(train_network, Network.from_files, NetworkConfig, Flavour.KERAS, lambda model: model.model),
}


def model_kind(name: str) -> ModelKind:
    """The kind of model called `name`. Raises UserError listing the known kinds if there is none."""
    if name not in MODEL_KINDS:
        raise UserError(f"interest.models: no model is called {name!r}; there are {', '.join(MODEL_KINDS)}")
    return MODEL_KINDS[name]


def train_model(
    name: str, features: Features, pairs: Pairs, click: np.ndarray, config: InterestConfig
) -> InterestModel:
    """A model of the kind called `name`, trained with its section of `config` and the seed of `config`."""
    kind = model_kind(name)
    settings = kind_settings(config, "interest", name, kind.settings)
    return kind.train(features, pairs, click, settings, config.seed)
