"""The champion generator -> new creatives on disk: pictures, plain ads and a manifest that says how each was made."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from upath import UPath

from components.contract.tables import read_json, write_bytes, write_json
from components.errors import UserError
from components.manifest import digest_tree


@dataclass(frozen=True)
class Order:
    """What is asked for: `count` pictures of a category and segment, or of a text; None takes all in turn."""

    count: int
    category: str | None
    segment: int | None
    text: str | None
    seed: int


@dataclass(frozen=True)
class Delivery:
    """Pictures written, and how many of them never passed the check of the text within the attempts."""

    written: int
    unmet: int
    attempts: int


def generate(dataset: str, out: UPath, order: Order) -> Delivery:
    """Write the ordered pictures, their 300x250 ads and manifest.json to `out`.

    Raises UserError where there is no champion, or the champion knows no such category, segment or words.
    """
    from components.promotion.registry import CHAMPION
    from components.tracking import fetch_package, open_store, version_of

    if order.text is not None and order.category is not None:
        raise UserError("--text says what the picture shows; leave --category out")
    version = version_of(open_store(), f"{dataset}-creatives", CHAMPION)
    if version is None:
        raise UserError(f"{dataset}-creatives has no champion; `adloom run {dataset}` trains and judges generators")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "package"
        fetch_package(version, folder)
        files, about = _read(UPath(folder))
    rows = make(files, about, order)
    for row in rows:
        write_bytes(row.pop("picture_png"), out / row["picture"])
        write_bytes(row.pop("ad_png"), out / row["ad"])
    manifest = {"model": version.name, "version": version.number, "seed": order.seed, "creatives": rows}
    write_json({**manifest, "digests": digest_tree(out, skip=("manifest.json",))}, out / "manifest.json")
    unmet = sum(not row.get("met", True) for row in rows)
    return Delivery(len(rows), unmet, about.get("max_attempts", 1))


def _read(package: UPath) -> tuple[Mapping[str, bytes], dict]:
    """Files of the best generator and of the words, and `about.json`: its name and the texts that people wrote."""
    from components.creatives.wishes import WORDS

    about = read_json(package / "about.json")
    folders = [package / name for name in (about["best"], WORDS) if (package / name).exists()]
    return {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}, about


def make(files: Mapping[str, bytes], about: Mapping, order: Order) -> list[dict]:
    """A package's files and the order -> a row per picture, its PNGs among it."""
    from components.creatives.boards import ad_png, picture_png
    from components.creatives.generator import NetworkGenerator

    generator = NetworkGenerator.from_files(dict(files))
    every = 1 if order.text else len(generator.categories)
    segments = _codes("--segment", order.segment, tuple(range(generator.segments)), order.count, every)
    if order.text is None:
        categories = _codes("--category", order.category, generator.categories, order.count)
        pictures, notes = generator.sample(categories, segments, order.seed), [{}] * order.count
        named = [generator.categories[code] for code in categories]
    else:
        pictures, named, notes = _told(files, about, order, segments)
    texts = np.random.default_rng(order.seed).integers(0, len(about["texts"]), order.count)
    rows = []
    for number, (picture, category, segment, note) in enumerate(zip(pictures, named, segments, notes, strict=True)):
        wording = about["texts"][texts[number]]
        rows.append(
            {
                "picture": f"{number:03d}-picture.png",
                "ad": f"{number:03d}-ad.png",
                "generator": generator.name,
                "category": category,
                "segment": int(segment),
                **note,
                **wording,
                "picture_png": picture_png(picture),
                "ad_png": ad_png(picture, **wording),
            }
        )
    return rows


def _told(files: Mapping[str, bytes], about: Mapping, order: Order, segments: np.ndarray):
    """Pictures of the text, the category read in it for each, and notes: what was read, attempts, if it was met."""
    from components.creatives.attributes import SPOKEN_BUILD, SPOKEN_TONE
    from components.creatives.reading import LONGEST
    from components.creatives.wishes import READER, TextToImage

    if READER not in files:
        raise UserError("--text: this champion reads no captions; run again with creatives.reader_steps above 0")
    maker = TextToImage.from_files(files)
    wish = maker.reader.read(order.text)
    granted = maker.draw([order.text] * order.count, segments, order.seed, about["max_attempts"])
    read = {"text": order.text[:LONGEST], "tone": SPOKEN_TONE[wish.tone], "build": SPOKEN_BUILD[wish.build]}
    notes = [
        {**read, "attempts": int(attempts), "met": bool(met)}
        for attempts, met in zip(granted.attempts, granted.met, strict=True)
    ]
    return granted.pictures, [maker.generator.categories[wish.category]] * order.count, notes


def _codes(option: str, asked, known: tuple, count: int, every: int = 1) -> np.ndarray:
    """The asked code `count` times, or all in turn, the next one after `every`; UserError for one that is not known."""
    if asked is None:
        return np.arange(count) // every % max(len(known), 1)
    if asked not in known:
        raise UserError(f"{option} {asked}: the champion knows {json.dumps(list(known), ensure_ascii=False)}")
    return np.full(count, known.index(asked))
