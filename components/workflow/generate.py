"""The champion generator -> new creatives on disk: pictures, plain ads and a manifest that says how each was made."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_json, write_bytes, write_json
from components.settings.errors import UserError

if TYPE_CHECKING:
    from components.ads.copy_choice import CopyChooser
    from components.ads.personalise import Personaliser


WORTH = ("expected_ctr", "average_ctr", "unaware_ctr")
HALVES = ("0", "1")  # folders of a version of interest: what is climbed, and what watches


@dataclass(frozen=True)
class Order:
    """What is asked for: `count` pictures of a category and segment, or of a text; None takes all in turn.

    placement, hour (0 to 23): the context that words, template and palette are chosen for; None: not chosen by it.
    personalise: whether to search for pictures that the segment should like in that context.
    """

    count: int
    category: str | None
    segment: int | None
    text: str | None
    seed: int
    placement: str | None = None
    hour: int | None = None
    personalise: bool = False

    @property
    def in_context(self) -> bool:
        """Whether any context is asked for."""
        return self.placement is not None or self.hour is not None

    @property
    def asked(self) -> str:
        """The options that need the model of interest, in words; empty where none is asked for."""
        return " and ".join(["--placement and --hour"] * self.in_context + ["--personalise"] * self.personalise)


@dataclass(frozen=True)
class Delivery:
    """Pictures written, and how many of them never passed the check of the text within the attempts.

    ctr: the means of WORTH over the creatives, in (0, 1); None where no context was asked for. ordinary: reason ->
    pictures that are not personalised for it; None where that was not asked for.
    """

    written: int
    unmet: int
    attempts: int
    ctr: tuple[float, float, float] | None
    ordinary: Mapping[str, int] | None


def generate(dataset: str, out: UPath, order: Order) -> Delivery:
    """Write the ordered pictures, their ads in the sizes of the champion's run, and manifest.json to `out`.

    Raises UserError where there is no champion, or the champion knows no such category, segment, words or context.
    """
    from components.registry.mlflow_store import fetch_package, open_store, version_of
    from components.registry.promotion import CHAMPION

    if order.text is not None and order.category is not None:
        raise UserError("--text says what the picture shows; leave --category out")
    if order.text is not None and order.personalise:
        raise UserError("--personalise searches for what a segment likes, not for a text; leave --text out")
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
        scorer = _scorer(client, dataset, about, order.asked) if order.asked else None
        chooser, personaliser = _interested(scorer, UPath(folder), order) if scorer else (None, None)
    rows = make(files, about, order, chooser, personaliser)
    for row in rows:
        write_bytes(row.pop("picture_png"), out / row["picture"])
        for name, png in row.pop("ad_pngs").items():
            write_bytes(png, out / name)
    manifest = {"model": version.name, "version": version.number, "seed": order.seed, "creatives": rows}
    manifest |= {"interest_version": scorer.number} if scorer else {}
    write_json({**manifest, "digests": digest_tree(out, skip=("manifest.json",))}, out / "manifest.json")
    unmet = sum(not row.get("met", True) for row in rows)
    ctr = tuple(float(np.mean([row[name] for row in rows])) for name in WORTH) if order.in_context else None
    ordinary = Counter(row["reason"] for row in rows if not row["steps"]) if order.personalise else None
    return Delivery(len(rows), unmet, about.get("max_attempts", 1), ctr, ordinary)


def _read(package: UPath) -> tuple[Mapping[str, bytes], dict]:
    """Files of the best generator and of the words, and `about.json`: its name and the texts that people wrote."""
    from components.generators.text_to_image.text_to_image import CAPTIONS_FOLDER
    from components.generators.warm_start import WEIGHTS_FILE

    about = read_json(package / "about.json")
    folders = [package / name for name in (about["best"], CAPTIONS_FOLDER) if (package / name).exists()]
    files = [
        path for folder in folders for path in folder.iterdir() if path.name != WEIGHTS_FILE
    ]  # a training's, not ours
    return {path.name: path.read_bytes() for path in files}, about


def _scorer(client, dataset: str, about: Mapping, asked: str):
    """The version of the interest model that scored the champion's own pool; UserError where it cannot choose.

    A later one, trained with other features, could not read the audience that is kept with the generators.
    """
    from components.registry.mlflow_store import find_version

    again = f"`adloom run {dataset}` makes a new one"
    if "interest" not in about:
        raise UserError(f"{asked}: this champion was made before creatives could be chosen for a context; {again}")
    version = find_version(client, f"{dataset}-interest", about["interest"])
    if version is None:
        raise UserError(f"{asked}: {dataset}-interest lacks the version that scored this champion's pool; {again}")
    if version.tags.get("gate") != "passed":
        why = version.tags.get("reasons", "it was not judged")
        raise UserError(f"{asked}: {version.name} version {version.number}, which would choose, was refused: {why}")
    return version


def _interested(scorer, package: UPath, order: Order) -> tuple["CopyChooser", "Personaliser | None"]:
    """The scoring version and the package of generators, which keeps an audience -> what chooses and personalises."""
    from components.ads.copy_choice import CopyChooser
    from components.ads.personalise import Personaliser
    from components.contract.files.tables import read_frame
    from components.features import FeatureModel
    from components.generators.quality.photo_manifold import BOUNDS_FILE, Bounds
    from components.interest import CalibratedModel
    from components.registry.mlflow_store import fetch_package
    from components.workflow.stage_inputs import files_in

    audience = read_frame(package / "audience.parquet")
    with tempfile.TemporaryDirectory() as scratch:
        model = UPath(scratch) / "model"
        fetch_package(scorer, Path(model))
        features = FeatureModel.from_files(files_in(model / "features"))
        chooser = CopyChooser(CalibratedModel.from_files(files_in(model / "interest")), features, audience)
        if not order.personalise:
            return chooser, None
        folders = [model / "halves" / name for name in HALVES]
        if not all(folder.exists() for folder in folders) or not (package / BOUNDS_FILE).exists():
            raise UserError(
                f"--personalise: {scorer.name} version {scorer.number} keeps no two models of disjoint shoppers: "
                "its log had too few clicks for them, or it was made before pictures could be personalised"
            )
        bounds = Bounds.from_bytes((package / BOUNDS_FILE).read_bytes())
        halves = tuple(CalibratedModel.from_files(files_in(folder)) for folder in folders)
        return chooser, Personaliser(halves, features, audience, bounds)


def make(
    files: Mapping[str, bytes],
    about: Mapping,
    order: Order,
    chooser: "CopyChooser | None" = None,
    personaliser: "Personaliser | None" = None,
) -> list[dict]:
    """A package's files and the order -> a row per picture, its PNGs among it.

    A context is asked of the `chooser`, a segment's taste of the `personaliser`.
    """
    from components.ads.ad_sizes import MEDIUM_RECTANGLE, ad_sizes
    from components.ads.contact_sheets import ad_png, picture_png
    from components.generators.keras_generator import NetworkGenerator

    if order.placement is not None:
        _check_placement(order.placement, chooser.placements)
    generator = NetworkGenerator.from_files(dict(files))
    every = 1 if order.text is not None or order.category is not None else len(generator.categories)
    segments = _codes("--segment", order.segment, tuple(range(generator.segments)), order.count, every)
    campaigns = _campaigns(about, order) if order.asked else []
    words = [None] * order.count
    if order.text is not None:
        pictures, named, notes = _told(files, about, order, segments)
    else:
        categories = _codes("--category", order.category, generator.categories, order.count)
        named = [generator.categories[code] for code in categories]
        if order.personalise:
            pictures, words, notes = _searched(generator, order, personaliser, categories, segments, campaigns)
        else:
            pictures, notes = generator.sample(categories, segments, order.seed), [{}] * order.count
    if order.in_context:
        around = _chosen_words(order, chooser, zip(pictures, named, segments, campaigns, strict=True))
    elif order.personalise:
        around = [({"campaign": campaign["campaign"]}, said) for campaign, said in zip(campaigns, words, strict=True)]
    else:
        around = _any_words(about, order)
    rows = []
    made = zip(pictures, named, segments, notes, around, strict=True)
    sizes = ad_sizes(tuple(about.get("sizes", (MEDIUM_RECTANGLE.name,))))
    for number, (picture, category, segment, note, (context, words)) in enumerate(made):
        ads = {f"{number:03d}-ad-{size.name}.png": ad_png(picture, **words, size=size) for size in sizes}
        rows.append(
            {
                "picture": f"{number:03d}-picture.png",
                "ads": list(ads),
                "generator": generator.name,
                "category": category,
                "segment": int(segment),
                **note,
                **context,
                **words,
                "picture_png": picture_png(picture),
                "ad_pngs": ads,
            }
        )
    return rows


def _any_words(about: Mapping, order: Order) -> list[tuple[dict, dict]]:
    """Per picture nothing to say about them, and words that people wrote together."""
    drawn = np.random.default_rng(order.seed).integers(0, len(about["texts"]), order.count)
    return [({}, about["texts"][number]) for number in drawn]


def _campaigns(about: Mapping, order: Order) -> list[dict]:
    """Per picture a campaign that people wrote for, with its texts."""
    drawn = np.random.default_rng(order.seed).integers(0, len(about["campaigns"]), order.count)
    return [about["campaigns"][number] for number in drawn]


def _searched(
    generator, order: Order, personaliser: "Personaliser", categories: np.ndarray, segments: np.ndarray, campaigns
) -> tuple[np.ndarray, list[dict], list[dict]]:
    """Pictures that their segments should like, the words they were searched in, and notes: what both models saw."""
    from components.ads.copy_choice import Context, combinations, texts

    context, random = Context(order.placement, order.hour), np.random.default_rng((order.seed, 1))
    pictures, words, notes = [], [], []
    for number, (category, segment, campaign) in enumerate(zip(categories, segments, campaigns, strict=True)):
        written = combinations(campaign, random)
        said = written.iloc[[random.integers(len(written))]]
        seed = int(np.random.default_rng((order.seed, 2, number)).integers(2**31))
        found = personaliser.find(generator, int(category), int(segment), campaign, said, context=context, seed=seed)
        pictures.append(found.picture)
        words.append({**texts(said.iloc[0]), "brand_color": campaign["brand_color"]})
        gains = {"claimed_gain": round(found.claimed_gain, 6), "watched_gain": round(found.watched_gain, 6)}
        notes.append({"steps": found.steps, **gains, "reason": found.reason})
    return np.stack(pictures), words, notes


def _chosen_words(order: Order, chooser: "CopyChooser", made: Iterable[tuple]) -> list[tuple[dict, dict]]:
    """Per picture, category, segment and campaign: the context, what it is worth, and that campaign's best words."""
    from components.ads.copy_choice import Context

    context, random, around = Context(order.placement, order.hour), np.random.default_rng(order.seed), []
    for picture, category, segment, campaign in made:
        choice = chooser.choose(picture, category, int(segment), campaign, context, random=random)
        ctr = zip(WORTH, (choice.expected, choice.average, choice.unaware), strict=True)
        worth = {name: round(value, 6) for name, value in ctr}
        note = {"placement": order.placement, "hour": order.hour, "campaign": campaign["campaign"], **worth}
        around.append((note, {**choice.words, "brand_color": campaign["brand_color"]}))
    return around


def _told(files: Mapping[str, bytes], about: Mapping, order: Order, segments: np.ndarray):
    """Pictures of the text, the category read in it for each, and notes: what was read, attempts, if it was met."""
    from components.generators.photos.photo_attributes import SPOKEN_BUILD, SPOKEN_TONE
    from components.generators.text_to_image.caption_parser import MAX_CHARACTERS, PARSER_FILE
    from components.generators.text_to_image.text_to_image import TextToImage

    if PARSER_FILE not in files:
        raise UserError("--text: this champion reads no captions; run again with creatives.parser_steps above 0")
    maker = TextToImage.from_files(files)
    parsed = maker.parser.parse(order.text)
    result = maker.draw([order.text] * order.count, segments, order.seed, about["max_attempts"])
    read = {"text": order.text[:MAX_CHARACTERS], "tone": SPOKEN_TONE[parsed.tone], "build": SPOKEN_BUILD[parsed.build]}
    notes = [
        {**read, "attempts": int(attempts), "met": bool(met)}
        for attempts, met in zip(result.attempts, result.accepted, strict=True)
    ]
    return result.pictures, [maker.generator.categories[parsed.category]] * order.count, notes


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
        raise UserError(f"--placement {asked}: the champion knows {json.dumps(sorted(known), ensure_ascii=False)}")
