"""How good pictures get for how many CPU-seconds: our generators beside three baselines, at equal budgets.

    python -m benchmarks.creatives_quality [--budget 600] [--seeds 1] [--models flow,gaussian,...] [--samples 60000]

CPU-seconds are process time of training, compilation in, evaluation out. Each model is stopped at the budget; where its
rate falls along a schedule, the schedule's length comes from the speed of its first steps. Features are those of the
fixed classifier trained here on all real photos (not Inception's). Ends with one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.environment import prepare

MARKS = (0.1, 0.2, 0.35, 0.5, 0.75)  # shares of the budget at which the curve is taken
CURVE_SAMPLES = 2000
PROBE = (5, 25)  # steps between which a model's speed is taken


@dataclass(frozen=True)
class Contender:
    """A model in the race: its batch, noise and rate, and `start`, which sets it up as a family does."""

    batch_size: int
    latent: int
    learning_rate: float
    start: Callable


def contenders() -> dict[str, Contender]:
    """Name -> model: ours first, then the baselines."""
    from benchmarks.creatives import keras_wgan, plain_vae
    from components.creatives.families import FAMILIES

    return {
        "flow": Contender(512, 128, 1.5e-3, FAMILIES["flow"]),
        "wgan": Contender(128, 32, 3e-4, FAMILIES["wgan"]),
        "vae": Contender(128, 32, 1e-3, FAMILIES["vae"]),
        "keras-wgan-gp": Contender(512, 128, 2e-4, keras_wgan.bench),
        "plain-vae": Contender(128, 16, 1e-3, plain_vae.bench),
    }


def train(name: str, contender: Contender, photos, budget: float, seed: int) -> Iterator[tuple[float, object]]:
    """(CPU-seconds spent, the generator as it is) at each mark and at the end of the budget."""
    from components.creatives.generator import NetworkGenerator

    steps = _affordable(contender, photos, budget, seed)
    begun = time.process_time()
    bench, training = _set_up(contender, photos, steps, seed)
    spent, marks, records = time.process_time() - begun, list(MARKS), training.run()
    while spent < budget:
        begun = time.process_time()
        record = next(records, None)
        spent += time.process_time() - begun
        if record is None:
            break
        if marks and spent >= marks[0] * budget:
            marks.pop(0)
            yield spent, NetworkGenerator(name, bench.sampler(), photos.categories, photos.segments)
    yield spent, NetworkGenerator(name, bench.sampler(), photos.categories, photos.segments)


def _affordable(contender: Contender, photos, budget: float, seed: int) -> int:
    _, training = _set_up(contender, photos, PROBE[1], seed)
    for record in training.run():
        if record.step == PROBE[0]:
            begun = time.process_time()
    each = (time.process_time() - begun) / (PROBE[1] - PROBE[0])
    return max(PROBE[1], int(0.95 * budget / each))


def _set_up(contender: Contender, photos, steps: int, seed: int):
    from components.config import GeneratorConfig
    from components.creatives.batches import Batches
    from components.creatives.training import Training

    config = GeneratorConfig(
        steps=steps,
        max_seconds=1e6,
        batch_size=contender.batch_size,
        latent=contender.latent,
        learning_rate=contender.learning_rate,
    )
    bench = contender.start(photos, config, seed)
    turns = len(bench.recipe.turns)
    batches = Batches(photos, contender.batch_size, turns, bench.recipe.noises, seed, dict(bench.columns))
    return bench, Training("race", bench.recipe, batches, steps, config.max_seconds)


@dataclass(frozen=True)
class Course:
    """What the race is run on: photos, the fixed classifier, the manifold, and how many pictures are judged."""

    photos: object
    test: object
    classifier: object
    manifold: object
    samples: int

    def distance(self, generator, seed: int) -> dict[str, float]:
        """Frechet, KID and coverage of a few pictures: a point of the curve."""
        from components.creatives.distances import density_coverage, frechet, kernel_distance
        from components.creatives.quality import draw

        made = self.classifier.features(draw(generator, self.photos, CURVE_SAMPLES, seed).pictures)
        real = self.classifier.features(self.test.pictures)
        coverage = density_coverage(real[:CURVE_SAMPLES], made)[1]
        return {"frechet": frechet(real, made), "kid": kernel_distance(real, made), "coverage": coverage}

    def judge(self, generator, seed: int) -> dict[str, float]:
        """The whole quality report, CAS among it."""
        from components.creatives.quality import assess

        quality = assess(generator, self.photos, self.test, self.classifier, self.manifold, self.samples, seed)
        return quality.metrics()


def run(name: str, course: Course, budget: float, seed: int, grids: Path | None) -> dict:
    """One model, one seed -> its curve and final figures."""
    curve = []
    for spent, generator in _generators(name, course, budget, seed):
        curve.append({"cpu_seconds": round(spent, 1), **course.distance(generator, seed)})
        print(f"{name} seed {seed}: {curve[-1]}", flush=True)
    final = course.judge(generator, seed)
    print(f"{name} seed {seed}: {final}", flush=True)
    if grids is not None:
        from benchmarks.creatives.grid import write_grid

        write_grid(generator, grids / f"{name}-{int(budget)}s.png")
    return {"model": name, "seed": seed, "cpu_seconds": curve[-1]["cpu_seconds"], "curve": curve, **final}


def _generators(name: str, course: Course, budget: float, seed: int) -> Iterator[tuple[float, object]]:
    if name == "gaussian":
        from benchmarks.creatives.gaussian import Gaussians

        begun = time.process_time()
        fitted = Gaussians.fit(course.photos)
        return iter([(time.process_time() - begun, fitted)])
    return train(name, contenders()[name], course.photos, budget, seed)


def reached(rows: list[dict]) -> dict[str, float | None]:
    """Baseline -> the CPU-seconds at which ours first was at or below that baseline's final Frechet; None: never."""
    ours = next((row for row in rows if row["model"] == "flow"), None)
    if ours is None:
        return {}
    when = {}
    for row in rows:
        if row["model"] != "flow":
            aim = row["curve"][-1]["frechet"]
            when[row["model"]] = next((at["cpu_seconds"] for at in ours["curve"] if at["frechet"] <= aim), None)
    return when


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=600.0, help="CPU-seconds of training per model")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--models", default="flow,keras-wgan-gp,plain-vae,gaussian")
    parser.add_argument("--samples", type=int, default=60_000, help="pictures judged per model; CAS trains on them")
    parser.add_argument("--grids", type=Path, help="folder for a grid of samples per model")
    arguments = parser.parse_args()
    prepare()

    from benchmarks.creatives.shelf import shelf
    from components.creatives.admission import Manifold
    from components.creatives.classifier import train_classifier
    from components.creatives.quality import floor
    from components.creatives.review import DIMENSIONS
    from components.pictures import PictureEncoder

    photos, test = shelf()
    classifier = train_classifier(photos)
    manifold = Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, DIMENSIONS))
    course = Course(photos, test, classifier, manifold, arguments.samples)
    ground = floor(photos, test, classifier, manifold).metrics()
    print(f"real photos: {ground}", flush=True)
    rows = [
        run(name, course, arguments.budget, seed, arguments.grids)
        for seed in range(arguments.seeds)
        for name in arguments.models.split(",")
    ]
    cas = {
        name: float(np.mean([row["cas"] for row in rows if row["model"] == name]))
        for name in {r["model"] for r in rows}
    }
    result = {"budget": arguments.budget, "floor": ground, "cas": cas, "reached": reached(rows), "rows": rows}
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
