"""The parts of a training step: groups of weights, each updated to lower its loss, and slow averages of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components.generators.training.training_batches import Noise

Tensor = Any  # a tensor of the running backend
Loss = Callable[[Mapping[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class TrainableGroup:
    """Weights that one optimiser updates to lower one loss.

    loss: batch {name: [b, ...]} -> (scalar to lower, {name: scalar} to report). It calls networks as functions, and
    both backends differentiate it.
    """

    name: str
    variables: tuple[Any, ...]  # keras.Variable
    optimizer: Any  # keras.optimizers.Optimizer, built on `variables`
    loss: Loss


@dataclass(frozen=True)
class Average:
    """shadow <- decay * shadow + (1 - decay) * source after each step (Polyak averaging of the generator's weights).

    The first steps use the smaller decay (1 + step) / (10 + step), so that the initial weights soon have no weight.
    """

    source: tuple[Any, ...]
    shadow: tuple[Any, ...]
    decay: float
    step: Any  # keras.Variable, int: number of applications


@dataclass(frozen=True)
class Recipe:
    """One generator in training: in each step the groups in `updates` are updated in order, each on its own batch.

    networks: name -> keras.Model, stored in checkpoints; noises: random inputs of the losses; xla: whether to compile
    with XLA (off by default, since it is slower on CPUs for small convolutions).
    """

    networks: Mapping[str, Any]
    updates: tuple[TrainableGroup, ...]
    noises: tuple[Noise, ...]
    averages: tuple[Average, ...] = ()
    xla: bool = False

    def learned(self) -> dict[str, Any]:
        """Name -> network, for those that a group trains; the others are averages of them."""
        trained = {id(variable) for group in self.updates for variable in group.variables}
        return {
            name: network
            for name, network in self.networks.items()
            if trained & {id(variable) for variable in network.variables}
        }

    def state(self) -> tuple[Any, ...]:
        """Every keras.Variable that a step may change, each once, in a fixed order."""
        variables: dict[int, Any] = {}
        for network in self.networks.values():
            variables.update({id(variable): variable for variable in network.variables})
        for group in self.updates:
            variables.update({id(variable): variable for variable in group.optimizer.variables})
        variables.update({id(average.step): average.step for average in self.averages})
        return tuple(variables.values())
