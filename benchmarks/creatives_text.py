"""Asked in words, does it draw what was said? Captions never seen, English and Chinese, judged by a classifier apart.

    python -m benchmarks.creatives_text [--generator FOLDER | --budget 240] [--text-encoder FOLDER] [--captions 500]

The generator is one that a run has trained (`artifacts/marketplace/creatives/model/flow-3`), or is trained first.
The classifier that decides on redrawing learns from one half of the training photos, the one that judges here from the
other half; what counts as dark, light, slim or wide is judged by terciles of the test photos. A caption counts as met
when category, tone and build all match. Ends with one line of JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from components.settings.environment import prepare


def chosen(captions, count: int, seed: int) -> list:
    """`count` captions that were held out, both languages in equal parts."""
    random = np.random.default_rng(seed)
    unique = {caption.text: caption for caption in captions}
    languages = [[c for c in unique.values() if c.text.isascii() == ascii_only] for ascii_only in (True, False)]
    return [group[row] for group in languages for row in random.permutation(len(group))[: count // 2]]


def met(pictures: np.ndarray, captions: list, judge, scales) -> dict[str, np.ndarray]:
    """What of each caption is on its picture: bool [n] per part, and of all of it."""
    category = np.array([caption.category for caption in captions])
    tone, build = scales.codes(pictures, category)
    asked = {"tone": [caption.tone for caption in captions], "build": [caption.build for caption in captions]}
    parts = {"category": judge.predict(pictures) == category}
    for name, measured in (("tone", tone), ("build", build)):
        parts[name] = (np.array(asked[name]) == 0) | (measured == np.array(asked[name]))
    return {**parts, "all": parts["category"] & parts["tone"] & parts["build"]}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=240.0, help="CPU-seconds of training of the generator")
    parser.add_argument("--generator", type=Path, help="folder of a trained generator's files, which is then taken")
    parser.add_argument("--text-encoder", metavar="FOLDER", help="of a pretrained one, which then reads the captions")
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--attempts", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grid", type=Path, help="where to write a grid of captions' pictures")
    arguments = parser.parse_args()
    prepare()

    from benchmarks.creatives.grid import save_rows
    from benchmarks.creatives.race import generators
    from benchmarks.creatives.shelf import shelf
    from components.generators.keras_generator import NetworkGenerator
    from components.generators.photos.photo_attributes import Scales
    from components.generators.quality.photo_classifier import train_classifier
    from components.generators.text_to_image.caption_parser import train_parser
    from components.generators.text_to_image.text_encoders import text_encoder
    from components.generators.text_to_image.text_to_image import TextToImage
    from components.settings.sections import CreativesConfig
    from components.workflow.caching.local_folders import taken

    words = taken(CreativesConfig(text_encoder=arguments.text_encoder), "text_encoder", text_encoder)
    if arguments.generator:
        files = {path.name: path.read_bytes() for path in arguments.generator.iterdir()}
        generator = NetworkGenerator.from_files(files)
        photos, test = shelf(generator.categories)
    else:
        photos, test = shelf()
        generator = [made for _, made in generators("flow", photos, arguments.budget, arguments.seed)][-1]
    order = np.random.default_rng(arguments.seed).permutation(len(photos.category))
    drawing, judge = (train_classifier(photos.take(half), arguments.seed) for half in np.array_split(order, 2))
    count = len(photos.categories)
    parser, held_out = train_parser(photos.categories, arguments.seed, encoder=words)
    maker = TextToImage(parser, generator, drawing, Scales.fit(photos.pictures, photos.category, count))
    scales = Scales.fit(test.pictures, test.category, count)
    captions = chosen(held_out, arguments.captions, arguments.seed)
    texts = [caption.text for caption in captions]
    unknown = np.full(len(texts), generator.segments)
    result = maker.draw(texts, unknown, arguments.seed, arguments.attempts)
    once = maker.draw(texts, unknown, arguments.seed, 1)
    shares = {name: float(part.mean()) for name, part in met(result.pictures, captions, judge, scales).items()}
    english = np.array([text.isascii() for text in texts])
    every = met(result.pictures, captions, judge, scales)["all"]
    if arguments.grid:
        rows = [maker.draw([text] * 8, np.full(8, generator.segments), 7).pictures for text in GRID]
        save_rows(np.stack(rows), arguments.grid)
    result = {
        "captions": len(texts),
        "met": shares,
        "met_english": float(every[english].mean()),
        "met_chinese": float(every[~english].mean()),
        "met_without_redrawing": float(met(once.pictures, captions, judge, scales)["all"].mean()),
        "mean_attempts": float(result.attempts.mean()),
        "given_up": float(1 - result.accepted.mean()),
        "generator": str(arguments.generator) if arguments.generator else f"flow, {arguments.budget:.0f} CPU-seconds",
    }
    print(json.dumps(result, sort_keys=True))


GRID = ("a dark ankle boot", "深色短靴", "light wide bag", "浅色宽松手提包", "slim dark dress", "亮色运动鞋")


if __name__ == "__main__":
    main()
