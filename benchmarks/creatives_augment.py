"""The effect of augmentation on a generator trained on 10 % of the photos, for each plan of augmentations.

    python -m benchmarks.creatives_augment [--family flow] [--share 0.1] [--steps 900] [--seeds 3]

All trainings have the same number of steps and batch size, so about the same CPU-seconds. Frechet distance (in the
features of a classifier trained on all training photos, not Inception's), coverage and CAS of --samples images are
measured on test photos; so is the fraction of images that copy a training photo or its mirrored or shifted version.
Prints one line of JSON at the end.
"""

import argparse
import json

import numpy as np

from components.settings.environment import prepare

PLANS = ((), ("mirror",), ("shift",), ("mirror", "shift"))


def measure(course, few, family: str, plan: tuple[str, ...], *, steps: int, seed: int) -> dict:
    """The figures of one training on the photos `few` and their versions augmented by `plan`."""
    from components.generators.build_training import start_training
    from components.generators.photos.preprocessing import augment
    from components.generators.quality.photo_manifold import Manifold
    from components.generators.quality.quality_report import assess_generator
    from components.generators.quality.quality_review import DIMENSIONS
    from components.images import PictureEncoder
    from components.settings.sections import CreativesConfig

    augmented = augment(few, plan)
    config = getattr(CreativesConfig(), family).model_copy(update={"steps": steps, "max_seconds": 1e6})
    training = start_training(family, augmented, config, seed)
    for _ in training.run():
        pass
    manifold = Manifold.fit(augmented.pictures, PictureEncoder.fit(augmented.pictures, DIMENSIONS))
    generator, classifier = training.generator(), course.classifier
    quality = assess_generator(generator, few, course.test, classifier, manifold, samples=course.samples, seed=seed)
    names = ("frechet", "coverage", "cas", "reverse_cas", "diversity", "memorised")
    figures = {name: quality.metrics()[name] for name in names}
    row = {"augment": list(plan), "seed": seed, "cpu_seconds": round(training.summary().cpu_seconds), **figures}
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
        rows += [measure(course, few, arguments.family, plan, steps=arguments.steps, seed=seed) for plan in PLANS]
    print(json.dumps({"family": arguments.family, "photos": len(few.category), "rows": rows}, sort_keys=True))


if __name__ == "__main__":
    main()
