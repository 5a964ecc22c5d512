"""The models of interest, simplest first. A new one is one file and one line in KINDS; each is imported when used."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from components.features import Features
from components.interest.model_protocol import InterestModel, Pairs
from components.settings.errors import UserError
from components.settings.sections import InterestConfig

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class Kind:
    """train: features, training pairs in order of time, clicks 0/1 [n], settings -> model; read: files -> model."""

    train: Callable[[Features, Pairs, np.ndarray, InterestConfig], InterestModel]
    read: Callable[[Mapping[str, bytes]], InterestModel]


def _train_logistic(features: Features, taught: Pairs, click: np.ndarray, config: InterestConfig) -> InterestModel:
    from components.interest.models.logistic import train_logistic

    return train_logistic(features, taught, click, config.seed)


def _read_logistic(files: Mapping[str, bytes]) -> InterestModel:
    from components.interest.models.logistic import Logistic

    return Logistic.from_files(files)


def _train_network(features: Features, taught: Pairs, click: np.ndarray, config: InterestConfig) -> InterestModel:
    from components.interest.models.two_tower import train_network

    for step, best in train_network(features, taught, click, config):  # noqa: B007 - the last one is kept
        log.info("network: epoch %d: log loss %.5f, held out %.5f", step.epoch, step.train_loss, step.held_out_loss)
    return best


def _read_network(files: Mapping[str, bytes]) -> InterestModel:
    from components.interest.models.two_tower import Network

    return Network.from_files(files)


KINDS: dict[str, Kind] = {
    "logistic": Kind(_train_logistic, _read_logistic),
    "network": Kind(_train_network, _read_network),
}


def kind_of(name: str) -> Kind:
    """The kind of model called `name`. Raises UserError naming those that there are."""
    if name not in KINDS:
        raise UserError(f"interest.models: no model is called {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]
