"""The effect of a warm start: a flow trained on all photos, from its seed and from a version trained on 80 % of them.

    python -m benchmarks.creatives_warm [--earlier 300] [--steps 100] [--seed 0]

Both are trained for the same number of steps, so about the same CPU-seconds (process time, including set-up and
compilation, excluding sampling). The Frechet distance of 2,000 images to real test photos uses the features of a
classifier trained here on 15,000 photos (not Inception's). The earlier version is measured too. Prints one line of JSON
at the end.
"""

import argparse
import json
import time

import numpy as np

from components.settings.environment import prepare

KNOWN = 0.8  # share of the photos that the earlier version was trained on
JUDGE_PHOTOS, SAMPLES = 15_000, 2_000


def train(photos, steps: int, seed: int, earlier=None):
    """(training, (first loss, mean of the last ten losses), CPU-seconds) of a flow trained for `steps`."""
    from components.generators.build_training import start_training
    from components.generators.generator_kinds import generator_settings
    from components.settings.sections import CreativesConfig

    config = generator_settings(CreativesConfig(), "flow").model_copy(update={"steps": steps, "max_seconds": 1e6})
    begun = time.process_time()
    training = start_training("flow", photos, config, seed, earlier=earlier)
    losses = [record.losses["loss"] for record in training.run()]
    return training, (losses[0], float(np.mean(losses[-10:]))), time.process_time() - begun


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--earlier", type=int, default=300, help="steps of the earlier version, on 80 %% of the photos")
    parser.add_argument("--steps", type=int, default=100, help="steps of each start on all photos")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prepare()
    from benchmarks.creatives.shelf import shelf
    from components.generators import warm_start
    from components.generators.quality.distances import frechet
    from components.generators.quality.photo_classifier import train_classifier
    from components.generators.quality.quality_report import draw_samples

    photos, test = shelf()
    order = np.random.default_rng(arguments.seed).permutation(len(photos.category))
    judge = train_classifier(photos.take(order[:JUDGE_PHOTOS]), arguments.seed)
    real = judge.features(test.pictures)
    rows = []

    def measure(name: str, shown, steps: int, earlier=None):
        training, (first, last), seconds = train(shown, steps, arguments.seed, earlier)
        made = draw_samples(training.generator(), photos, SAMPLES, arguments.seed).pictures
        distance = float(frechet(real, judge.features(made)))
        rows.append(
            {"start": name, "steps": steps, "cpu_seconds": seconds, "first": first, "last": last, "frechet": distance}
        )
        print(rows[-1], flush=True)
        return training

    known = photos.take(np.sort(order[: int(KNOWN * len(order))]))
    earlier = warm_start.read(measure("earlier", known, arguments.earlier).weights(), "earlier")
    measure("cold", photos, arguments.steps)
    measure("warm", photos, arguments.steps, earlier)
    print(json.dumps({"seed": arguments.seed, "rows": rows}, sort_keys=True))


if __name__ == "__main__":
    main()
