"""What augmentation is worth where photos are few: a generator taught on 10 % of them, by each way of making more.

    python -m benchmarks.creatives_augment [--family flow] [--share 0.1] [--steps 900] [--seeds 3]

Every training has as many steps and the same batch, so as many CPU-seconds. Judged on real test photos by a classifier
taught on all training photos (not Inception's features): Frechet distance, coverage, CAS of --samples pictures, and the
share that copies one of the few photos, mirrored or shifted as they may be. Ends with one line of JSON.
"""

import argparse
import json

import numpy as np

from components.settings.environment import prepare

PLANS = ((), ("mirror",), ("shift",), ("mirror", "shift"))


def measure(course, few, family: str, ways: tuple[str, ...], steps: int, seed: int) -> dict:
    """One training on `few` photos and their versions -> its figures."""
    from components.generators.build_training import start_training
    from components.generators.photos.preprocessing import augment
    from components.generators.quality.photo_manifold import Manifold
    from components.generators.quality.quality_report import assess_generator
    from components.generators.quality.quality_review import DIMENSIONS
    from components.images import PictureEncoder
    from components.settings.sections import CreativesConfig

    lessons = augment(few, ways)
    config = getattr(CreativesConfig(), family).model_copy(update={"steps": steps, "max_seconds": 1e6})
    training = start_training(family, lessons, config, seed)
    for _ in training.run():
        pass
    manifold = Manifold.fit(lessons.pictures, PictureEncoder.fit(lessons.pictures, DIMENSIONS))
    quality = assess_generator(
        training.generator(), few, course.test, course.classifier, manifold, course.samples, seed
    )
    taken = ("frechet", "coverage", "cas", "reverse_cas", "diversity", "memorised")
    figures = {name: quality.metrics()[name] for name in taken}
    row = {"augment": list(ways), "seed": seed, "cpu_seconds": round(training.summary().cpu_seconds), **figures}
    print(row, flush=True)
    return row


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", default="flow")
    parser.add_argument("--share", type=float, default=0.1, help="of the photos that the generator sees")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seeds", type=int, default=3, help="each with other photos")
    parser.add_argument("--samples", type=int, default=20_000)
    arguments = parser.parse_args()
    prepare()
    from pathlib import Path

    from benchmarks.creatives.course import lay_out

    course = lay_out(arguments.samples, Path("benchmarks/results/creatives/augment"))
    rows = []
    for seed in range(arguments.seeds):
        order = np.random.default_rng(seed).permutation(len(course.photos.category))
        few = course.photos.take(np.sort(order[: int(arguments.share * len(order))]))
        rows += [measure(course, few, arguments.family, ways, arguments.steps, seed) for ways in PLANS]
    print(json.dumps({"family": arguments.family, "photos": len(few.category), "rows": rows}, sort_keys=True))


if __name__ == "__main__":
    main()
