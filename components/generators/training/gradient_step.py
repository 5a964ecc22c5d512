"""The gradient step of the Keras backend in use, the only part of training that differs between backends."""

import keras

if keras.backend.backend() == "tensorflow":
    from components.generators.training.gradient_step_tensorflow import (
        compile_call,
        compile_steps,
        input_gradient,
    )
elif keras.backend.backend() == "jax":
    from components.generators.training.gradient_step_jax import compile_call, compile_steps, input_gradient
else:
    raise ImportError(f"KERAS_BACKEND={keras.backend.backend()}: generators train on tensorflow or jax")

__all__ = ["compile_call", "compile_steps", "input_gradient"]
