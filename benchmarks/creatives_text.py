"""The fraction of held-out captions, English and Chinese, whose generated image has all attributes of the caption.

    python -m benchmarks.creatives_text [--generator FOLDER | --budget 240] [--text-encoder FOLDER] [--captions 500]

The generator is one that a run has trained (`artifacts/marketplace/creatives/model/flow-3`), or is trained first. The
classifier that decides whether to draw again is trained on one half of the training photos, the classifier that judges
here on the other half; dark, light, slim and wide are judged by terciles of the test photos. A caption counts as met
if category, tone and build all match. Prints one line of JSON at the end.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from components.settings.environment import prepare


def sample_captions(captions, count: int, seed: int) -> list:
    """`count` random captions, half of them English and half Chinese."""
    random = np.random.default_rng(seed)
    unique = {caption.text: caption for caption in captions}
    languages = [[c for c in unique.values() if c.text.isascii() == ascii_only] for ascii_only in (True, False)]
    return [group[row] for group in languages for row in random.permutation(len(group))[: count // 2]]


def met(pictures: np.ndarray, captions: list, judge, scales) -> dict[str, np.ndarray]:
    """Whether each image has its caption's category, tone, build and all three: bool [n] each."""
    category = np.array([caption.category for caption in captions])
    tone, build = scales.codes(pictures, category)
    wanted = {
        "tone": np.array([caption.tone for caption in captions]),
        "build": np.array([caption.build for caption in captions]),
    }
    matches = {"category": judge.predict(pictures) == category}
    for name, measured in (("tone", tone), ("build", build)):
        matches[name] = (wanted[name] == 0) | (measured == wanted[name])  # 0: the caption does not mention it
    return {**matches, "all": matches["category"] & matches["tone"] & matches["build"]}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=240.0, help="CPU-seconds of the generator's training")
    parser.add_argument("--generator", type=Path, help="folder of a trained generator to use")
    parser.add_argument("--text-encoder", metavar="FOLDER", help="folder of a pretrained text encoder to use")
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--attempts", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grid", type=Path, help="file for a grid of images of some captions")
    arguments = parser.parse_args()
    prepare()
    print(json.dumps(measure(arguments), sort_keys=True))


def trained_generator(arguments) -> tuple:
    """(generator, training photos, test photos): the generator in `--generator`, or one trained for `--budget`."""
    from benchmarks.creatives.race import generators
    from benchmarks.creatives.shelf import shelf
    from components.generators.keras_generator import NetworkGenerator

    if arguments.generator:
        files = {path.name: path.read_bytes() for path in arguments.generator.iterdir()}
        generator = NetworkGenerator.from_files(files)
        return generator, *shelf(generator.categories)
    photos, test = shelf()
    return [made for _, made in generators("flow", photos, arguments.budget, arguments.seed)][-1], photos, test


def measure(arguments) -> dict:
    """The figures of the benchmark."""
    from benchmarks.creatives.grid import save_rows
    from components.generators.photos.photo_attributes import Scales
    from components.generators.quality.photo_classifier import train_classifier
    from components.generators.text_to_image.caption_parser import train_parser
    from components.generators.text_to_image.text_encoders import text_encoder
    from components.generators.text_to_image.text_to_image import TextToImage
    from components.settings.sections import CreativesConfig
    from components.workflow.caching.local_folders import read_local_folder

    words = read_local_folder(CreativesConfig(text_encoder=arguments.text_encoder), "text_encoder", text_encoder)
    generator, photos, test = trained_generator(arguments)
    order = np.random.default_rng(arguments.seed).permutation(len(photos.category))
    drawing, judge = (train_classifier(photos.take(half), arguments.seed) for half in np.array_split(order, 2))
    count = len(photos.categories)
    parser, held_out = train_parser(photos.categories, arguments.seed, encoder=words)
    maker = TextToImage(parser, generator, drawing, Scales.fit(photos.pictures, photos.category, count))
    scales = Scales.fit(test.pictures, test.category, count)
    captions = sample_captions(held_out, arguments.captions, arguments.seed)
    texts = [caption.text for caption in captions]
    unknown = np.full(len(texts), generator.segments)
    result = maker.draw(texts, unknown, arguments.seed, arguments.attempts)
    once = maker.draw(texts, unknown, arguments.seed, 1)
    matches = met(result.pictures, captions, judge, scales)
    english = np.array([text.isascii() for text in texts])
    if arguments.grid:
        rows = [maker.draw([text] * 8, np.full(8, generator.segments), 7).pictures for text in GRID]
        save_rows(np.stack(rows), arguments.grid)
    return {
        "captions": len(texts),
        "met": {name: float(each.mean()) for name, each in matches.items()},
        "met_english": float(matches["all"][english].mean()),
        "met_chinese": float(matches["all"][~english].mean()),
        "met_without_redrawing": float(met(once.pictures, captions, judge, scales)["all"].mean()),
        "mean_attempts": float(result.attempts.mean()),
        "given_up": float(1 - result.accepted.mean()),
        "generator": str(arguments.generator) if arguments.generator else f"flow, {arguments.budget:.0f} CPU-seconds",
    }


GRID = ("a dark ankle boot", "深色短靴", "light wide bag", "浅色宽松手提包", "slim dark dress", "亮色运动鞋")


if __name__ == "__main__":
    main()
