"""The gradient step in JAX, as a function from values of the weights to new values; the losses are the same functions.

All devices are used: each has all weights and an equal part of each batch, and JAX's compiler inserts the sums over the
parts (data parallelism by sharding).
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from components.generators.training.recipe import Average, Recipe, TrainableGroup
from components.settings.errors import UserError

State = dict[int, jax.Array]  # id of a keras.Variable -> its value


def input_gradient(function: Callable, inputs: jax.Array) -> jax.Array:
    """d sum(function(inputs)) / d inputs, which is itself differentiable, for gradient penalties."""
    return jax.grad(lambda values: jnp.sum(function(values)))(inputs)


def dispatch_of(recipe: Recipe) -> Callable[[list[jax.Array], Mapping[str, jax.Array]], tuple]:
    """Not compiled: (values of `recipe.state()`, {name: [steps, updates, b, ...]}) -> (values, {metric: [steps]})."""
    variables = recipe.state()

    def dispatch(values, batches):
        def body(carried, batch):
            state = dict(zip(map(id, variables), carried, strict=True))
            state, metrics = _one_step(recipe, variables, state, batch)
            return [state[id(variable)] for variable in variables], metrics

        return jax.lax.scan(body, values, batches)

    return dispatch


def compile_steps(recipe: Recipe) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """Function {name: [steps, updates, b, ...]} -> {metric: float32 [steps]} that trains `steps` steps at once."""
    variables, dispatch = recipe.state(), jax.jit(dispatch_of(recipe))
    mesh = Mesh(np.array(jax.devices()), ("batch",))
    whole, parts = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (None, None, "batch")))

    def run(batches: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = next(iter(batches.values())).shape[2]
        if rows % mesh.size:
            raise UserError(f"batch_size {rows} cannot be split into equal parts for {mesh.size} devices")
        values = jax.device_put([variable.value for variable in variables], whole)
        values, metrics = dispatch(values, jax.device_put(dict(batches), parts))
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return {name: np.asarray(value) for name, value in metrics.items()}

    return run


def compile_call(function: Callable, models: tuple) -> Callable:
    """`function` of arrays, which calls `models`, compiled; each call uses their present weights."""
    variables = [variable for model in models for variable in model.variables]

    @jax.jit
    def compiled(values, *arrays):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arrays)

    return lambda *arrays: np.asarray(compiled([variable.value for variable in variables], *arrays))


def _one_step(recipe: Recipe, variables: tuple, state: State, batches: Mapping[str, jax.Array]):
    reported = {}
    for update, group in enumerate(recipe.updates):
        batch = {name: values[update] for name, values in batches.items()}
        state, metrics = _update(group, variables, state, batch)
        reported.update(metrics)
    for average in recipe.averages:
        state = _average(average, state)
    return state, {name: jnp.asarray(value, jnp.float32) for name, value in reported.items()}


def _update(group: TrainableGroup, variables: tuple, state: State, batch: Mapping[str, jax.Array]):
    def loss_of(trained: list[jax.Array]):
        values = {**state, **dict(zip(map(id, group.variables), trained, strict=True))}
        with keras.StatelessScope(state_mapping=[(variable, values[id(variable)]) for variable in variables]):
            return group.loss(batch)

    trained = [state[id(variable)] for variable in group.variables]
    (loss, metrics), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
    moments = [state[id(variable)] for variable in group.optimizer.variables]
    trained, moments = group.optimizer.stateless_apply(moments, gradients, trained)
    moved = dict(zip(map(id, group.variables), trained, strict=True))
    moved |= dict(zip(map(id, group.optimizer.variables), moments, strict=True))
    return {**state, **moved}, {group.name: loss, **metrics}


def _average(average: Average, state: State) -> State:
    step = state[id(average.step)].astype(jnp.float32)
    decay = jnp.minimum(average.decay, (1.0 + step) / (10.0 + step))
    moved = {
        id(shadow): decay * state[id(shadow)] + (1.0 - decay) * state[id(source)]
        for source, shadow in zip(average.source, average.shadow, strict=True)
    }
    return {**state, **moved, id(average.step): state[id(average.step)] + 1}
