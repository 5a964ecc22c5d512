"""What a training step is made of: players who take turns, and slow averages of their weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components.generators.training.training_batches import Noise

Tensor = Any  # a tensor of the running backend
Loss = Callable[[Mapping[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Player:
    """Weights that one optimiser moves to lower one loss.

    loss: batch {name: [b, ...]} -> (scalar to lower, {name: scalar} to report). It calls networks as ordinary
    functions; both backends differentiate it as it stands.
    """

    name: str
    variables: tuple[Any, ...]  # keras.Variable
    optimizer: Any  # keras.optimizers.Optimizer, built on `variables`
    loss: Loss


@dataclass(frozen=True)
class Average:
    """shadow <- decay * shadow + (1 - decay) * source after each step (Polyak averaging of the generator's weights).

    The first steps use the smaller decay (1 + step) / (10 + step), so that the random start is soon forgotten.
    """

    source: tuple[Any, ...]
    shadow: tuple[Any, ...]
    decay: float
    step: Any  # keras.Variable, int: how many times it was applied


@dataclass(frozen=True)
class Recipe:
    """One generator in training: `turns` are played in order within one step, each on a batch of its own.

    networks: name -> keras.Model, everything that a checkpoint keeps; noises: random inputs of the losses;
    xla: whether to compile with XLA (measured slower on CPUs for small convolutions, so off by default there).
    """

    networks: Mapping[str, Any]
    turns: tuple[Player, ...]
    noises: tuple[Noise, ...]
    averages: tuple[Average, ...] = ()
    xla: bool = False

    def learned(self) -> dict[str, Any]:
        """Name -> network, for those that a player moves; the others are averages of them."""
        moved = {id(variable) for player in self.turns for variable in player.variables}
        return {
            name: network
            for name, network in self.networks.items()
            if moved & {id(variable) for variable in network.variables}
        }

    def state(self) -> tuple[Any, ...]:
        """Every keras.Variable that a step may change, each once, in a fixed order."""
        variables: dict[int, Any] = {}
        for network in self.networks.values():
            variables.update({id(variable): variable for variable in network.variables})
        for player in self.turns:
            variables.update({id(variable): variable for variable in player.optimizer.variables})
        variables.update({id(average.step): average.step for average in self.averages})
        return tuple(variables.values())
