"""The champion generator -> new creatives on disk: pictures, plain ads and a manifest that says how each was made."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from upath import UPath

from components.contract.tables import read_json, write_bytes, write_json
from components.errors import UserError
from components.manifest import digest_tree

if TYPE_CHECKING:
    from components.creatives.context import Chooser


WORTH = ("expected_ctr", "average_ctr", "unaware_ctr")


@dataclass(frozen=True)
class Order:
    """What is asked for: `count` pictures of a category and segment, or of a text; None takes all in turn.

    placement, hour (0 to 23): the context that words, template and palette are chosen for; None: not chosen by it.
    """

    count: int
    category: str | None
    segment: int | None
    text: str | None
    seed: int
    placement: str | None = None
    hour: int | None = None

    @property
    def in_context(self) -> bool:
        """Whether any context is asked for."""
        return self.placement is not None or self.hour is not None


@dataclass(frozen=True)
class Delivery:
    """Pictures written, and how many of them never passed the check of the text within the attempts.

    ctr: the means of WORTH over the creatives, in (0, 1); None where no context was asked for.
    """

    written: int
    unmet: int
    attempts: int
    ctr: tuple[float, float, float] | None


def generate(dataset: str, out: UPath, order: Order) -> Delivery:
    """Write the ordered pictures, their 300x250 ads and manifest.json to `out`.

    Raises UserError where there is no champion, or the champion knows no such category, segment, words or context.
    """
    from components.promotion.registry import CHAMPION
    from components.tracking import fetch_package, open_store, version_of

    if order.text is not None and order.category is not None:
        raise UserError("--text says what the picture shows; leave --category out")
    client = open_store()
    version = version_of(client, f"{dataset}-creatives", CHAMPION)
    if version is None:
        raise UserError(
            f"{dataset}-creatives has no champion; where the data set has images, `adloom run {dataset}` trains and "
            "judges generators"
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "package"
        fetch_package(version, folder)
        files, about = _read(UPath(folder))
        scorer = _scorer(client, dataset, about) if order.in_context else None
        chooser = _chooser(scorer, UPath(folder)) if scorer else None
    rows = make(files, about, order, chooser)
    for row in rows:
        write_bytes(row.pop("picture_png"), out / row["picture"])
        write_bytes(row.pop("ad_png"), out / row["ad"])
    manifest = {"model": version.name, "version": version.number, "seed": order.seed, "creatives": rows}
    manifest |= {"interest_version": scorer.number} if scorer else {}
    write_json({**manifest, "digests": digest_tree(out, skip=("manifest.json",))}, out / "manifest.json")
    unmet = sum(not row.get("met", True) for row in rows)
    ctr = tuple(float(np.mean([row[name] for row in rows])) for name in WORTH) if order.in_context else None
    return Delivery(len(rows), unmet, about.get("max_attempts", 1), ctr)


def _read(package: UPath) -> tuple[Mapping[str, bytes], dict]:
    """Files of the best generator and of the words, and `about.json`: its name and the texts that people wrote."""
    from components.creatives.warm import NAME as WEIGHTS
    from components.creatives.wishes import WORDS

    about = read_json(package / "about.json")
    folders = [package / name for name in (about["best"], WORDS) if (package / name).exists()]
    files = [path for folder in folders for path in folder.iterdir() if path.name != WEIGHTS]  # a training's, not ours
    return {path.name: path.read_bytes() for path in files}, about


def _scorer(client, dataset: str, about: Mapping):
    """The version of the interest model that scored the champion's own pool; UserError where it cannot choose.

    A later one, trained with other features, could not read the audience that is kept with the generators.
    """
    from components.tracking import find_version

    asked, again = "--placement and --hour", f"`adloom run {dataset}` makes a new one"
    if "interest" not in about:
        raise UserError(f"{asked}: this champion was made before creatives could be chosen for a context; {again}")
    version = find_version(client, f"{dataset}-interest", about["interest"])
    if version is None:
        raise UserError(f"{asked}: {dataset}-interest lacks the version that scored this champion's pool; {again}")
    if version.tags.get("gate") != "passed":
        why = version.tags.get("reasons", "it was not judged")
        raise UserError(f"{asked}: {version.name} version {version.number}, which would choose, was refused: {why}")
    return version


def _chooser(scorer, package: UPath) -> "Chooser":
    """The scoring version and the package of generators, which keeps an audience -> what chooses for a context."""
    from components.contract.tables import read_frame
    from components.creatives.context import Chooser
    from components.features import FeatureModel
    from components.inputs import files_in
    from components.interest import CalibratedModel
    from components.tracking import fetch_package

    with tempfile.TemporaryDirectory() as scratch:
        model = UPath(scratch) / "model"
        fetch_package(scorer, Path(model))
        interest, features = files_in(model / "interest"), files_in(model / "features")
    audience = read_frame(package / "audience.parquet")
    return Chooser(CalibratedModel.from_files(interest), FeatureModel.from_files(features), audience)


def make(files: Mapping[str, bytes], about: Mapping, order: Order, chooser: "Chooser | None" = None) -> list[dict]:
    """A package's files and the order -> a row per picture, its PNGs among it; a context is asked of the `chooser`."""
    from components.creatives.boards import ad_png, picture_png
    from components.creatives.generator import NetworkGenerator

    if order.placement is not None:
        _check_placement(order.placement, chooser.placements)
    generator = NetworkGenerator.from_files(dict(files))
    every = 1 if order.text else len(generator.categories)
    segments = _codes("--segment", order.segment, tuple(range(generator.segments)), order.count, every)
    if order.text is None:
        categories = _codes("--category", order.category, generator.categories, order.count)
        pictures, notes = generator.sample(categories, segments, order.seed), [{}] * order.count
        named = [generator.categories[code] for code in categories]
    else:
        pictures, named, notes = _told(files, about, order, segments)
    if order.in_context:
        around = _chosen_words(about, order, chooser, zip(pictures, named, segments, strict=True))
    else:
        around = _any_words(about, order)
    rows = []
    made = zip(pictures, named, segments, notes, around, strict=True)
    for number, (picture, category, segment, note, (context, words)) in enumerate(made):
        rows.append(
            {
                "picture": f"{number:03d}-picture.png",
                "ad": f"{number:03d}-ad.png",
                "generator": generator.name,
                "category": category,
                "segment": int(segment),
                **note,
                **context,
                **words,
                "picture_png": picture_png(picture),
                "ad_png": ad_png(picture, **words),
            }
        )
    return rows


def _any_words(about: Mapping, order: Order) -> list[tuple[dict, dict]]:
    """Per picture nothing to say about them, and words that people wrote together."""
    drawn = np.random.default_rng(order.seed).integers(0, len(about["texts"]), order.count)
    return [({}, about["texts"][number]) for number in drawn]


def _chosen_words(about: Mapping, order: Order, chooser: "Chooser", made: Iterable[tuple]) -> list[tuple[dict, dict]]:
    """Per picture, category and segment: the context and what it is worth, and the best words of a campaign drawn."""
    from components.creatives.context import Context

    context, random, around = Context(order.placement, order.hour), np.random.default_rng(order.seed), []
    for picture, category, segment in made:
        campaign = about["campaigns"][random.integers(len(about["campaigns"]))]
        choice = chooser.choose(picture, category, int(segment), campaign, context, random)
        ctr = zip(WORTH, (choice.expected, choice.average, choice.unaware), strict=True)
        worth = {name: round(value, 6) for name, value in ctr}
        note = {"placement": order.placement, "hour": order.hour, "campaign": campaign["campaign"], **worth}
        around.append((note, {**choice.words, "brand_color": campaign["brand_color"]}))
    return around


def _told(files: Mapping[str, bytes], about: Mapping, order: Order, segments: np.ndarray):
    """Pictures of the text, the category read in it for each, and notes: what was read, attempts, if it was met."""
    from components.creatives.attributes import SPOKEN_BUILD, SPOKEN_TONE
    from components.creatives.reading import LONGEST, READER
    from components.creatives.wishes import TextToImage

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


def _check_placement(asked: str, known: tuple[str, ...]) -> None:
    if not known:
        raise UserError(f"--placement {asked}: the log of this data set names no placements")
    if asked not in known:
        raise UserError(f"--placement {asked}: the champion knows {json.dumps(list(known), ensure_ascii=False)}")
