"""The ODE sampler of flow matching: a layer that integrates a learned velocity by the midpoint rule."""

import keras
from keras import layers, ops

STEPS = 8  # of the midpoint rule; the paths are nearly straight
GUIDANCE = 2.0  # towards requested traits; with more, images lose their category more often than they gain a trait


@keras.saving.register_keras_serializable("adloom")
class Midpoint(layers.Layer):
    """[start x_0 (B, D), *conditions] -> x_1 (B, D), by `steps` steps of the midpoint rule from t = 0 to 1.

    velocity: point x_t (B, D), time t (B, 1), conditions -> dx/dt (B, D). The steps are a loop in the graph, since each
    unrolled step would be a copy of the network to trace, compile and quantise.

    The last condition is the traits, 0 if not requested. With guidance g the velocity is (1 + g) v(traits) - g v(0)
    (classifier-free guidance, Ho & Salimans 2022; for flows, Zheng et al. 2023), which strengthens requested traits;
    without any it is v.
    """

    def __init__(self, velocity: keras.Model, steps: int = STEPS, guidance: float = GUIDANCE, **settings) -> None:
        super().__init__(**settings)
        self.velocity, self.steps, self.guidance = velocity, steps, guidance

    def call(self, inputs: list):
        """[start, *conditions] -> x_1."""
        start, *named, traits = inputs
        unspoken, spoken = ops.zeros_like(traits), ops.any(traits != 0)

        def speed(point, moment):
            now = ops.zeros_like(point[:, :1]) + moment
            asked = self.velocity([point, now, *named, traits])
            # the second pass is half of the work and not needed if no traits are requested in the batch
            plain = ops.cond(spoken, lambda: self.velocity([point, now, *named, unspoken]), lambda: asked)
            return asked + self.guidance * (asked - plain)

        def step(number, point):
            moment = ops.cast(number, point.dtype) / self.steps
            half = point + speed(point, moment) * (0.5 / self.steps)
            return point + speed(half, moment + 0.5 / self.steps) / self.steps

        return ops.fori_loop(0, self.steps, step, start)

    def compute_output_shape(self, shapes: list) -> tuple:
        """The shape of the start; without this method Keras would trace the network to compute it."""
        return tuple(shapes[0])

    def get_config(self) -> dict:
        """The configuration stored in a `.keras` file, with the velocity network."""
        velocity = keras.saving.serialize_keras_object(self.velocity)
        return {**super().get_config(), "velocity": velocity, "steps": self.steps, "guidance": self.guidance}

    @classmethod
    def from_config(cls, config: dict) -> "Midpoint":
        """The layer of a configuration of `get_config`; Keras then loads the weights."""
        return cls(keras.saving.deserialize_keras_object(config.pop("velocity")), **config)
