"""The way from a start to a picture's place in the plane, as one layer that follows a learned velocity."""

import keras
from keras import layers, ops

STEPS = 8  # of the midpoint rule; the paths are nearly straight
GUIDANCE = 2.0  # towards spoken traits; with more, first draws lose their category more often than they win a trait


@keras.saving.register_keras_serializable("adloom")
class Midpoint(layers.Layer):
    """[start x_0 (B, D), *conditions] -> x_1 (B, D), by `steps` steps of the midpoint rule from t = 0 to 1.

    velocity: point x_t (B, D), time t (B, 1), conditions -> dx/dt (B, D). A loop in the graph: each step drawn out
    would be a copy of the network to trace, to compile and to quantise.

    The last condition is the traits, 0 where unspoken. With guidance g the velocity is (1 + g) v(traits) - g v(0)
    (classifier-free guidance, Ho & Salimans 2022; for flows, Zheng et al. 2023): spoken traits count for more than
    among photos, and where nothing is spoken it is v itself.
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
            # the second pass is half of the work, and the first one over again where nobody in the batch speaks
            plain = ops.cond(spoken, lambda: self.velocity([point, now, *named, unspoken]), lambda: asked)
            return asked + self.guidance * (asked - plain)

        def step(number, point):
            moment = ops.cast(number, point.dtype) / self.steps
            half = point + speed(point, moment) * (0.5 / self.steps)
            return point + speed(half, moment + 0.5 / self.steps) / self.steps

        return ops.fori_loop(0, self.steps, step, start)

    def compute_output_shape(self, shapes: list) -> tuple:
        """A start's own; said here, for Keras would trace the network to find it."""
        return tuple(shapes[0])

    def get_config(self) -> dict:
        """The velocity network's description, as a `.keras` file keeps it."""
        velocity = keras.saving.serialize_keras_object(self.velocity)
        return {**super().get_config(), "velocity": velocity, "steps": self.steps, "guidance": self.guidance}

    @classmethod
    def from_config(cls, config: dict) -> "Midpoint":
        """What `get_config` gave -> layer; Keras fills in the weights."""
        return cls(keras.saving.deserialize_keras_object(config.pop("velocity")), **config)
