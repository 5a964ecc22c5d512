"""The gradient step in TensorFlow: gradient tapes in one compiled function."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from components.generators.training.recipe import Average, Recipe, TrainableGroup

log = logging.getLogger("adloom")

# Number of weights from which updates are compiled with XLA. TensorFlow's separate operations each read and write all
# weights, which takes a tenth to a third of a step; compiling takes two seconds.
FUSED_FROM = 1_000_000


def input_gradient(function: Callable, inputs: tf.Tensor) -> tf.Tensor:
    """d sum(function(inputs)) / d inputs, which is itself differentiable, for gradient penalties."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(function(inputs))
    return tape.gradient(total, inputs)


def compile_steps(recipe: Recipe) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """Function {name: [steps, updates, b, ...]} -> {metric: float32 [steps]} that trains `steps` steps at once."""
    gpus = len(tf.config.list_logical_devices("GPU"))
    if gpus > 1:
        log.warning("TensorFlow's step trains on one of the %d GPUs; KERAS_BACKEND=jax trains on all", gpus)

    @tf.function(jit_compile=recipe.xla, reduce_retracing=True, autograph=False)
    def dispatch(batches):
        first = _one_step(recipe, {name: values[0] for name, values in batches.items()})
        if next(iter(batches.values())).shape[0] == 1:
            return {name: value[None] for name, value in first.items()}
        # a loop in the graph, since the compile time of unrolled steps grows with their number
        rest = tf.map_fn(
            lambda batch: _one_step(recipe, batch),
            {name: values[1:] for name, values in batches.items()},
            parallel_iterations=1,
            fn_output_signature={name: tf.TensorSpec((), tf.float32) for name in first},
        )
        return {name: tf.concat([value[None], rest[name]], axis=0) for name, value in first.items()}

    def run(batches: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {name: tf.convert_to_tensor(values) for name, values in batches.items()}
        return {name: values.numpy() for name, values in dispatch(tensors).items()}

    return run


def compile_call(function: Callable, models: tuple) -> Callable:
    """`function` of arrays, which calls `models`, compiled; each call uses their present weights."""
    del models  # a tf.function captures variables by reference
    compiled = tf.function(function, reduce_retracing=True, autograph=False)
    return lambda *arrays: compiled(*map(tf.convert_to_tensor, arrays)).numpy()


def _one_step(recipe: Recipe, batches: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    reported = {}
    for update, group in enumerate(recipe.updates):
        weights = [variable.value for variable in group.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss, metrics = group.loss({name: values[update] for name, values in batches.items()})
        _move(group, tape.gradient(loss, weights))
        reported.update({group.name: loss, **metrics})
    for average in recipe.averages:
        _average(average)
    return {name: tf.cast(value, tf.float32) for name, value in reported.items()}


def _move(group: TrainableGroup, gradients: Sequence) -> None:
    _fused(group.variables, lambda given: group.optimizer.apply(given, group.variables))(gradients)


def _average(average: Average) -> None:
    def follow():
        step = tf.cast(average.step.value, tf.float32)
        decay = tf.minimum(average.decay, (1.0 + step) / (10.0 + step))
        for source, shadow in zip(average.source, average.shadow, strict=True):
            shadow.assign(decay * shadow.value + (1.0 - decay) * source.value)
        average.step.assign_add(1)

    _fused(average.source, follow)()


def _fused(weights: Sequence, update: Callable) -> Callable:
    """`update`, compiled as one pass over memory if there are many weights."""
    if sum(math.prod(weight.shape) for weight in weights) < FUSED_FROM:
        return update
    return tf.function(update, jit_compile=True, autograph=False)
