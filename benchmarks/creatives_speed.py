"""Images per second: training of each generator family by precision, and sampling.

    KERAS_BACKEND=tensorflow python -m benchmarks.creatives_speed [--steps 30] [--families flow,vae,wgan]

Runs on the backend and device that Keras finds; run it once per backend. Training rates count the photos of each step
after the first steps, which compile, per second of wall clock and per CPU-second. On JAX the floating-point operations
of a step are counted; with an accelerator they are divided by the seconds that it was busy by its own events, and
compared with its peak. Prints one line of JSON at the end.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from components.settings.environment import prepare

WARM = 5  # steps that compile or fill caches
SETTINGS = {"flow": (512, 128), "vae": (128, 32), "wgan": (128, 32)}  # batch, latent


def training_rate(family: str, photos, precision: str, steps: int, batch: int | None) -> dict:
    """Photos per second of training. batch: photos per step, None for the family's default."""
    from components.generators.build_training import start_training
    from components.settings.sections import GeneratorConfig

    usual, latent = SETTINGS[family]
    batch = batch or usual
    config = GeneratorConfig(
        steps=WARM + steps, max_seconds=1e6, batch_size=batch, latent=latent, learning_rate=3e-4, precision=precision
    )
    training = start_training(family, photos, config, seed=0)
    records = training.run()
    for _ in range(WARM):
        next(records)
    clock, processor = time.perf_counter(), time.process_time()
    busy = on_device(lambda: list(records))
    seconds, cpu = time.perf_counter() - clock, time.process_time() - processor
    seen = steps * batch * len(training.loop.recipe.updates)
    rates = {"photos_per_second": round(seen / seconds, 1), "photos_per_cpu_second": round(seen / cpu, 1)}
    rates |= device_rates(training, steps, seen, busy, precision)
    print(f"{family} {precision}: {rates}", flush=True)
    return {"family": family, "precision": precision, "batch": batch, **rates, "generator": training.generator()}


def on_device(run: Callable[[], object]) -> float | None:
    """Call `run`; the seconds that an accelerator was busy by its own events, None without one or without JAX."""
    import keras

    from benchmarks.creatives.device import busy_seconds

    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return busy_seconds(run)
    run()
    return None


def device_rates(training, steps: int, seen: int, busy: float | None, precision: str) -> dict:
    """Operations of a step (JAX only); with an accelerator, photos per busy second and the fraction of its peak."""
    import keras

    from benchmarks.creatives.device import peak, step_operations

    if keras.backend.backend() != "jax":
        return {}
    operations = step_operations(training)
    if busy is None:
        return {"operations_per_step": operations}
    import jax

    speed, best = operations * steps / busy / jax.device_count(), peak(precision)
    return {
        "operations_per_step": operations,
        "photos_per_device_second": round(seen / busy, 1),
        "teraflops_per_device": round(speed / 1e12, 2),
        "share_of_peak": None if best is None else round(speed / best, 4),
    }


def sampling(generator) -> dict:
    """Milliseconds for 64 images in one call, and bytes of the network's file."""
    category, segment = np.arange(64) % len(generator.categories), np.full(64, generator.segments)
    generator.sample(category, segment, 0)
    begun = time.perf_counter()
    for seed in range(3):
        generator.sample(category, segment, seed)
    milliseconds = (time.perf_counter() - begun) / 3 * 1000
    return {"milliseconds_64": round(milliseconds, 1), "bytes": len(generator.files()["generator.keras"])}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--families", default="flow,vae,wgan")
    parser.add_argument("--batch", type=int, help="photos per step, instead of each family's default")
    parser.add_argument("--precisions", default="float32,mixed_bfloat16")
    arguments = parser.parse_args()
    prepare()
    import keras

    from benchmarks.creatives.shelf import shelf

    photos, _ = shelf()
    rows = []
    for family in arguments.families.split(","):
        for precision in arguments.precisions.split(","):
            row = training_rate(family, photos, precision, arguments.steps, arguments.batch)
            generator = row.pop("generator")
            rows.append({**row, **(sampling(generator) if precision == "float32" else {})})
    print(json.dumps({"backend": keras.backend.backend(), "rows": rows}, sort_keys=True))


if __name__ == "__main__":
    main()
