"""The models of interest, simplest first. A new one is one file and one line in KINDS, chosen by `interest.models`.

Their frameworks are imported when a model is trained or read, and not before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from components.features import Features
from components.interest.model_protocol import InterestModel, Pairs
from components.interest.models.logistic import Logistic, train_logistic
from components.interest.models.two_tower import Network, NetworkConfig, train_network
from components.settings.errors import UserError
from components.settings.sections import InterestConfig, NoSettings, Section, kind_settings


class Flavour(Enum):
    """What a model is to the tools around MLflow, which describe and serve it: registry/mlflow_flavours.py logs it."""

    SKLEARN = "sklearn"  # a fitted scikit-learn estimator, saved as skops
    KERAS = "keras"
    PYFUNC = "pyfunc"  # Adloom's own: the model's files, and features of pairs -> P(click)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    train: features, training pairs in order of time, clicks 0/1 [n], the kind's settings, a seed -> model. read: files
    -> model. settings: the type of `interest.<name>`. native: model -> what its flavour takes; unused by PYFUNC.
    """

    train: Callable[[Features, Pairs, np.ndarray, Section, int], InterestModel]
    read: Callable[[Mapping[str, bytes]], InterestModel]
    settings: type[Section] = NoSettings
    flavour: Flavour = Flavour.PYFUNC
    native: Callable[[InterestModel], object] = lambda model: model


KINDS: dict[str, Kind] = {
    "logistic": Kind(
        train_logistic, Logistic.from_files, flavour=Flavour.SKLEARN, native=lambda model: model.estimator
    ),
    "network": Kind(train_network, Network.from_files, NetworkConfig, Flavour.KERAS, lambda model: model.model),
}


def kind_of(name: str) -> Kind:
    """The kind of model called `name`. Raises UserError naming those that there are."""
    if name not in KINDS:
        raise UserError(f"interest.models: no model is called {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def train_kind(
    name: str, features: Features, taught: Pairs, click: np.ndarray, config: InterestConfig
) -> InterestModel:
    """A model of the kind called `name`, by its own settings and the seed of `config`."""
    kind = kind_of(name)
    settings = kind_settings(config, "interest", name, kind.settings)
    return kind.train(features, taught, click, settings, config.seed)
