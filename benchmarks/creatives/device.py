"""The busy time of an accelerator by its own events, and the operations of a training step. For JAX only."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

# Dense matrix products, 10^12 operations per second, from the makers' data sheets; float32 is TF32, as JAX computes it.
PEAKS = {
    "H200": {"float32": 494.7, "mixed_bfloat16": 989.4},
    "H100": {"float32": 494.7, "mixed_bfloat16": 989.4},
    "A100": {"float32": 156.0, "mixed_bfloat16": 312.0},
}


def busy_seconds(run: Callable[[], object]) -> float | None:
    """Seconds in which a kernel or copy ran on a device during `run`, mean of the devices; None without a device."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        data = jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
        devices = [
            covered(
                (event.start_ns, event.start_ns + event.duration_ns)
                for line in plane.lines
                if line.name.startswith("Stream")  # the other lines tell the same time by layer and by program
                for event in line.events
            )
            for plane in data.planes
            if plane.name.startswith("/device:")
        ]
    devices = [nanoseconds / 1e9 for nanoseconds in devices if nanoseconds]
    return sum(devices) / len(devices) if devices else None


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of the intervals (start, end)."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def step_operations(training) -> float:
    """Floating-point operations of one step of a GeneratorTraining, as XLA counts them.

    The step is lowered for the CPU on every device: XLA's accelerator plug-ins count nothing before they compile.
    """
    import jax
    import numpy as np

    from components.generators.training.gradient_step_jax import dispatch_of

    recipe = training.loop.recipe
    batch = {name: np.asarray(values)[None] for name, values in training.loop.batches.at(0).items()}
    with jax.default_device(jax.devices("cpu")[0]):
        values = [np.asarray(variable.value) for variable in recipe.state()]
        return float(jax.jit(dispatch_of(recipe)).lower(values, batch).cost_analysis()["flops"])


def peak(precision: str) -> float | None:
    """Peak operations per second of one device; None for a device that is not in PEAKS."""
    import jax

    kind = jax.devices()[0].device_kind
    return next((1e12 * peaks[precision] for name, peaks in PEAKS.items() if name in kind), None)
