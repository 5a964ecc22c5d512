"""The true value of personalised images, and the round after which a search only exploits errors of its model.

    python -m benchmarks.creatives_personalised [--workdir artifacts] [--scenario FILE [--impressions 600000]]
                                                [--categories 5] [--rounds 12] [--plot FILE]

Reads a finished marketplace run: features and the best generator. With --scenario another shop is simulated, its
features are built and a flow is trained on its photos with the default settings.

Two interest models are trained on disjoint halves of the shoppers: the search maximises the first, the guard checks
with the second. For each segment and category a search starts from that category's images in one ad of the data set and
runs all its rounds; the round at which the guard would have stopped is determined afterwards. The simulator's click
probabilities, which neither model sees, give the true value of each round's image on later impressions of that segment,
and of random images (the category's average). Gains are clicks per impression; intervals are Student's over the
searches of a segment. Prints one line of JSON at the end.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from components.settings.environment import prepare

AVERAGE = 30  # random images, whose mean value is the category's average
AUDIENCE, JUDGES = 60, 200  # impressions of a segment on which an image is scored, and on which it is judged


@dataclass(frozen=True)
class Search:
    """One segment and category: images uint8 [AVERAGE + rounds, ...], the first model's score of each (`claimed`), the
    round at which the guard stops (None: it abstains), and its reason."""

    segment: int
    category: str
    pictures: np.ndarray
    claimed: np.ndarray
    stop: int | None
    reason: str


@dataclass(frozen=True)
class Scene:
    """The shop: validated tables, features and their model, the two interest models, generator and bounds."""

    tables: dict
    built: object
    model: object
    climbed: object
    watching: object
    generator: object
    bounds: object

    def score(self, interest, base: pd.DataFrame, segment: int):
        """A function that maps images to the mean P(click) of `segment` on the ad `base` with each image."""
        from components.features import Looks, creative_features
        from components.interest.segment_scores import draw_audience, segment_scores

        own = self.built.impressions[self.built.impressions["segment"] == segment].assign(segment=0)
        audience = draw_audience(replace(self.built, impressions=own), 1, AUDIENCE, seed=0)

        def score(pictures: np.ndarray) -> np.ndarray:
            creatives, _ = rows_of(base, pictures, "tried")
            looks = Looks.of_pictures(self.model.traits.look, creatives["image_id"], pictures)
            rows = creative_features(self.model, creatives, self.tables["products"], looks)
            return segment_scores(interest, audience, rows)[:, 0]

        return score


def rows_of(base: pd.DataFrame, pictures: np.ndarray, prefix: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(creatives that equal `base` except for their image, table of images) of the given images."""
    from components.images import encode_png

    ids = [f"{prefix}-{number}" for number in range(len(pictures))]
    creatives = base.iloc[np.zeros(len(pictures), int)].assign(creative_id=ids, image_id=ids, origin="tried-1")
    images = pd.DataFrame({"image_id": ids, "image": [encode_png(picture) for picture in pictures]})
    return creatives.reset_index(drop=True), images.astype({"image_id": "str"})


def open_scene(workdir: str) -> tuple[Scene, object]:
    """(the scene of a finished run, with two newly trained interest models; the data set's card)."""
    from components.contract.files.tables import files_in, read_json
    from components.generators.keras_generator import NetworkGenerator
    from components.generators.photos.training_photos import training_photos
    from components.settings.paths import Paths
    from components.workflow.stage_inputs import built_features, validated

    paths = Paths.of("marketplace", workdir=workdir)
    tables, card = validated(paths)
    model, built = built_features(paths)
    folder = paths.stage("creatives") / "model"
    generator = NetworkGenerator.from_files(files_in(folder / read_json(folder / "about.json")["best"]))
    photos, _, _ = training_photos(tables, built, generator.shape[0])
    return scene_of(tables, model, built, generator, photos), card


def draw_scene(scenario: str, impressions: int) -> tuple[Scene, object]:
    """(the scene of a shop simulated with another scenario by the settings of params.yaml; its card)."""
    from components.datasets.fashion_mnist import load_photos
    from components.datasets.marketplace import build_tables
    from components.features import build_features, fit_features
    from components.generators.build_training import start_training
    from components.generators.generator_kinds import generator_settings
    from components.generators.photos.training_photos import training_photos
    from components.settings.params_file import load_settings

    chosen = (f"simulator.scenario={scenario}", f"simulator.impressions={impressions}")
    settings = load_settings("params.yaml", "marketplace", chosen)
    tables, card = build_tables(settings.simulator, load_photos())
    model = fit_features(tables, settings.features, card.ends_at)
    built = build_features(model, tables, settings.features)
    photos, _, _ = training_photos(tables, built, None)
    config = generator_settings(settings.creatives, "flow").model_copy(update={"max_seconds": 1e6})
    training = start_training("flow", photos, config, settings.creatives.seed)
    for _ in training.run():
        pass
    return scene_of(tables, model, built, training.generator(), photos), card


def scene_of(tables, model, built, generator, photos) -> Scene:
    """The scene of the given parts, with interest models trained on halves of the shoppers and bounds of the photos."""
    from components.generators.quality.photo_manifold import Bounds
    from components.generators.quality.quality_review import DIMENSIONS
    from components.images import PictureEncoder
    from components.interest import train_disjoint_models
    from components.settings.sections import InterestConfig

    bounds = Bounds.fit(photos.pictures, PictureEncoder.fit(photos.pictures, DIMENSIONS))
    climbed, watching = train_disjoint_models(built, InterestConfig())
    return Scene(tables, built, model, climbed, watching, generator, bounds)


def search_one(scene: Scene, segment: int, category: str, base: pd.DataFrame, *, rounds: int, seed: int) -> Search:
    """All rounds of one search, and the round at which the guard would have stopped it."""
    from components.ads.personalise import personalise, search

    climbed, watching = (scene.score(model, base, segment) for model in (scene.climbed, scene.watching))
    code = scene.generator.categories.index(category)
    steps = list(
        search(
            scene.generator,
            code,
            segment,
            climbed,
            watching,
            bounds=scene.bounds,
            steps=rounds,
            population=60,
            seed=seed,
        )
    )
    found = personalise(iter(steps))
    average = scene.generator.sample(np.full(AVERAGE, code), np.full(AVERAGE, segment), seed)
    pictures = np.concatenate([average, np.stack([step.picture for step in steps])])
    return Search(segment, category, pictures, climbed(pictures), found.steps or None, found.reason)


def judge(scene: Scene, card, searches: list[Search], bases: dict[str, pd.DataFrame]) -> list[np.ndarray]:
    """True click-through of every search's pictures among later impressions of its segment: float64 [pictures] each."""
    from components.simulator import truth

    made = [rows_of(bases[each.category], each.pictures, f"made-{number}") for number, each in enumerate(searches)]
    tables = {
        **scene.tables,
        "creatives": pd.concat([scene.tables["creatives"], *(rows for rows, _ in made)], ignore_index=True),
        "images": pd.concat([scene.tables["images"], *(images for _, images in made)], ignore_index=True),
    }
    law, random = truth(card.simulator, tables), np.random.default_rng(0)
    later = scene.built.impressions[scene.built.impressions["split"] == "judge"]
    values = []
    for each, (creatives, _) in zip(searches, made, strict=True):
        own = later.loc[later["segment"] == each.segment, "impression_id"].to_numpy()
        asked = random.choice(own, min(JUDGES, len(own)), replace=False)
        ids = creatives["creative_id"].to_numpy()
        pairs = pd.DataFrame({"impression_id": np.tile(asked, len(ids)), "creative_id": np.repeat(ids, len(asked))})
        values.append(law(pairs).reshape(len(ids), len(asked)).mean(axis=1))
    return values


def interval(values: np.ndarray) -> dict[str, float]:
    """Mean of independent searches with Student's interval."""
    from scipy.stats import t

    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    width = float(t.ppf(0.975, len(values) - 1)) * error
    return {"value": mean, "ci_low": mean - width, "ci_high": mean + width}


def report(searches: list[Search], true: list[np.ndarray]) -> dict:
    """Per segment the true gain at the guard's stop, and over all searches predicted and true gain by round."""
    base = np.array([values[:AVERAGE].mean() for values in true])
    earned = np.stack([values[AVERAGE:] - values[:AVERAGE].mean() for values in true])  # (searches, rounds + 1)
    promised = np.stack([each.claimed[AVERAGE:] - each.claimed[:AVERAGE].mean() for each in searches])
    stops = np.array([-1 if each.stop is None else each.stop for each in searches])
    # an abstention shows the average picture, whose gain is 0
    chosen = np.where(stops < 0, 0.0, earned[np.arange(len(stops)), stops])
    said = np.where(stops < 0, 0.0, promised[np.arange(len(stops)), stops])
    segment = np.array([each.segment for each in searches])
    curve = [
        {"round": number, "predicted": interval(promised[:, number]), "true": interval(earned[:, number])}
        for number in range(earned.shape[1])
    ]
    return {
        "searches": len(searches),
        "average_ctr": float(base.mean()),
        "gain_at_stop": interval(chosen),
        "relative_gain_at_stop": interval(chosen / base),
        "predicted_minus_true_at_stop": interval(said - chosen),
        "predicted_minus_true_at_end": interval(promised[:, -1] - earned[:, -1]),
        "abstained": float((stops < 0).mean()),
        "mean_stop": float(stops[stops >= 0].mean()) if (stops >= 0).any() else None,
        "segments": {
            str(code): {
                "relative_gain": interval((chosen / base)[segment == code]),
                "ctr": float(base[segment == code].mean()),
            }
            for code in np.unique(segment)
        },
        "curve": curve,
    }


def draw(found: dict, path: Path) -> None:
    """The hacking curve as a PNG."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    rounds = [point["round"] for point in found["curve"]]
    for name, label in (("predicted", "predicted by the model that is climbed"), ("true", "true, by the world's law")):
        means, low, high = (
            np.array([point[name][key] for point in found["curve"]]) * 1000 for key in ("value", "ci_low", "ci_high")
        )
        axes.plot(rounds, means, marker="o", markersize=4, label=label)
        axes.fill_between(rounds, low, high, alpha=0.2)
    axes.axhline(0.0, color="grey", linewidth=0.8)
    axes.set(xlabel="rounds of the search", ylabel="gain, clicks per 1,000 impressions")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="artifacts", help="where a finished run of marketplace lies")
    parser.add_argument("--scenario", metavar="FILE", help="a world to draw a shop in, instead of a finished run's")
    parser.add_argument("--impressions", type=int, default=600_000, help="of that shop")
    parser.add_argument("--categories", type=int, default=5, help="searches per segment, each in another category")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="where to draw the hacking curve, a PNG")
    arguments = parser.parse_args()
    prepare()
    if arguments.scenario:
        scene, card = draw_scene(arguments.scenario, arguments.impressions)
    else:
        scene, card = open_scene(arguments.workdir)
    people = scene.tables["creatives"][scene.tables["creatives"]["origin"] == "people"]
    sold = people.merge(scene.tables["products"][["product_id", "category"]], on="product_id")
    random = np.random.default_rng(arguments.seed)
    known = [name for name in scene.generator.categories if (sold["category"] == name).any()]
    bases = {
        name: people[people["creative_id"] == sold[sold["category"] == name]["creative_id"].iloc[0]] for name in known
    }
    searches = []
    for segment in range(scene.generator.segments):
        for category in random.permutation(known)[: arguments.categories]:
            seed = int(random.integers(2**31))
            base, rounds = bases[str(category)], arguments.rounds
            searches.append(search_one(scene, segment, str(category), base, rounds=rounds, seed=seed))
            print(f"segment {segment}, {category}: stop {searches[-1].stop}, {searches[-1].reason}", flush=True)
    found = report(searches, judge(scene, card, searches, bases))
    if arguments.plot:
        draw(found, arguments.plot)
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
