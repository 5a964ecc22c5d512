"""New creatives of the champion generator: images, ads and a manifest that records how each was made.

Functions import what needs Keras themselves, so that a wrong request ends before TensorFlow has started.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_json, write_bytes, write_json
from components.settings.errors import EarlierFormat, UserError

if TYPE_CHECKING:
    from components.ads.copy.copy_choice import CopyChooser
    from components.ads.personalise import Personaliser


CTR_FIELDS = ("expected_ctr", "average_ctr", "unaware_ctr")
DISJOINT = (
    "0",
    "1",
)  # folders of the disjoint models: the one that is optimised, and the one that checks


@dataclass(frozen=True)
class GenerateRequest:
    """What to generate: `count` images of a category and segment, or of a text; None takes all in turn.

    placement, hour (0 to 23): the context for which copy, template and palette are chosen; None: without it.
    personalise: whether to search for images that the segment should prefer in that context.
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
        """Whether a placement or an hour is given."""
        return self.placement is not None or self.hour is not None

    @property
    def interest_options(self) -> str:
        """The given options that need the interest model, in words; empty if there are none."""
        return " and ".join(["--placement and --hour"] * self.in_context + ["--personalise"] * self.personalise)


@dataclass(frozen=True)
class GenerateResult:
    """The number of images written, and of those that do not show the text after `attempts` attempts.

    ctr: the means of CTR_FIELDS over the creatives, in (0, 1); None without a context. ordinary: by reason, the number
    of images that are not personalised; None unless --personalise is given.
    """

    written: int
    unmet: int
    attempts: int
    ctr: tuple[float, float, float] | None
    ordinary: Mapping[str, int] | None


def generate(dataset: str, out: UPath, request: GenerateRequest) -> GenerateResult:
    """Write the requested images, their ads in the sizes of the champion's run, and manifest.json to `out`.

    UserError if there is no champion, or it has no such category, segment, text or context.
    """
    from components.registry.mlflow_store import fetch_package, open_store, version_of
    from components.registry.promotion import CHAMPION
    from components.registry.unreadable_champion import reading_champion

    if request.text is not None and request.category is not None:
        raise UserError("--text says what the picture shows; leave --category out")
    if request.text is not None and request.personalise:
        raise UserError("--personalise searches for what a segment likes, not for a text; leave --text out")
    client = open_store()
    version = version_of(client, f"{dataset}-creatives", CHAMPION)
    if version is None:
        raise UserError(
            f"{dataset}-creatives has no champion; if the data set has images, `adloom run {dataset}` trains and "
            "judges generators"
        )
    options = request.interest_options
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "package"
        fetch_package(version, folder)
        with reading_champion(version.name, version.number):
            files, about = _read(UPath(folder))
        scorer = _scorer(client, dataset, about, options) if options else None
        chooser, personaliser = _choosers(scorer, UPath(folder), request) if scorer else (None, None)
    with reading_champion(version.name, version.number, (EarlierFormat,)):
        rows = make(files, about, request, chooser, personaliser)
    for row in rows:
        write_bytes(row.pop("picture_png"), out / row["picture"])
        for name, png in row.pop("ad_pngs").items():
            write_bytes(png, out / name)
    manifest = {"model": version.name, "version": version.number, "seed": request.seed, "creatives": rows}
    manifest |= {"interest_version": scorer.number} if scorer else {}
    write_json({**manifest, "digests": digest_tree(out, skip=("manifest.json",))}, out / "manifest.json")
    return _result(rows, about, request)


def _result(rows: Sequence[Mapping], about: Mapping, request: GenerateRequest) -> GenerateResult:
    unmet = sum(not row.get("met", True) for row in rows)
    ctr = tuple(float(np.mean([row[name] for row in rows])) for name in CTR_FIELDS) if request.in_context else None
    ordinary = Counter(row["reason"] for row in rows if not row["steps"]) if request.personalise else None
    return GenerateResult(len(rows), unmet, about.get("max_attempts", 1), ctr, ordinary)


def _read(package: UPath) -> tuple[Mapping[str, bytes], dict]:
    """The files of the best generator and of the caption parser, and `about.json`: its name and people's texts."""
    from components.generators.text_to_image.text_to_image import CAPTIONS_FOLDER
    from components.generators.warm_start import WEIGHTS_FILE

    about = read_json(package / "about.json")
    folders = [package / name for name in (about["best"], CAPTIONS_FOLDER) if (package / name).exists()]
    files = [
        path for folder in folders for path in folder.iterdir() if path.name != WEIGHTS_FILE
    ]  # only training uses them
    return {path.name: path.read_bytes() for path in files}, about


def _scorer(client, dataset: str, about: Mapping, options: str):
    """The version of the interest model that scored the champion's pool; UserError if it cannot choose.

    A later version, trained on other features, could not read the audience that is stored with the generators.
    """
    from components.registry.mlflow_store import find_version

    remedy = f"`adloom run {dataset}` makes a new one"
    if "interest" not in about:
        raise UserError(f"{options}: this champion was made before creatives could be chosen for a context; {remedy}")
    version = find_version(client, f"{dataset}-interest", about["interest"])
    if version is None:
        raise UserError(f"{options}: {dataset}-interest lacks the version that scored this champion's pool; {remedy}")
    if version.tags.get("gate") != "passed":
        why = version.tags.get("reasons", "it was not judged")
        raise UserError(f"{options}: {version.name} version {version.number}, which would choose, was refused: {why}")
    return version


def _choosers(scorer, package: UPath, request: GenerateRequest) -> tuple["CopyChooser", "Personaliser | None"]:
    """The chooser of copy and, if requested, the personaliser, from the scoring version and the generators' package."""
    from components.ads.copy.copy_choice import CopyChooser
    from components.contract.files.tables import files_in, read_frame
    from components.features import FeatureModel
    from components.interest import CalibratedModel
    from components.registry.mlflow_store import fetch_package
    from components.registry.unreadable_champion import reading_champion

    audience = read_frame(package / "audience.parquet")
    with tempfile.TemporaryDirectory() as scratch:
        model = UPath(scratch) / "model"
        fetch_package(scorer, Path(model))
        with reading_champion(scorer.name, scorer.number):
            features = FeatureModel.from_files(files_in(model / "features"))
            interest = CalibratedModel.from_files(files_in(model / "interest"))
        chooser = CopyChooser(interest, features, audience)
        return chooser, _personaliser(scorer, model, package, features, audience) if request.personalise else None


def _personaliser(scorer, model: UPath, package: UPath, features, audience) -> "Personaliser":
    """The personaliser with the disjoint models in the folder `model`; UserError if they are missing."""
    from components.ads.personalise import Personaliser
    from components.contract.files.tables import files_in
    from components.generators.quality.photo_manifold import BOUNDS_FILE, Bounds
    from components.interest import CalibratedModel
    from components.registry.unreadable_champion import reading_champion
    from components.workflow.stage_inputs import disjoint_models_folder

    folders = [disjoint_models_folder(model) / name for name in DISJOINT]
    if not all(folder.exists() for folder in folders) or not (package / BOUNDS_FILE).exists():
        raise UserError(
            f"--personalise: {scorer.name} version {scorer.number} has no two models of disjoint shoppers: "
            "its log had too few clicks for them, or it was made before images could be personalised"
        )
    with reading_champion(scorer.name, scorer.number):
        bounds = Bounds.from_bytes((package / BOUNDS_FILE).read_bytes())
        disjoint = tuple(CalibratedModel.from_files(files_in(folder)) for folder in folders)
    return Personaliser(disjoint, features, audience, bounds)


@dataclass(frozen=True)
class _Images:
    """pictures: uint8 [n, side, side] or [n, side, side, 3]. categories: of each. notes: how each was made.

    texts: of each, the copy with which a personalised image was searched; else None.
    """

    pictures: np.ndarray
    categories: list[str]
    notes: list[dict]
    texts: list[dict] | None = None


@dataclass(frozen=True)
class _Copy:
    """The texts of one ad, and the context and campaign that they were chosen for."""

    context: dict
    texts: dict


def make(
    files: Mapping[str, bytes],
    about: Mapping,
    request: GenerateRequest,
    chooser: "CopyChooser | None" = None,
    personaliser: "Personaliser | None" = None,
) -> list[dict]:
    """A row of the manifest per image of the request, with its PNGs, from a package's files.

    `chooser` is needed for a context, `personaliser` for personalised images.
    """
    from components.ads.rendering.ad_sizes import MEDIUM_RECTANGLE, ad_sizes
    from components.generators.keras_generator import NetworkGenerator

    if request.placement is not None:
        _check_placement(request.placement, chooser.placements)
    try:
        generator = NetworkGenerator.from_files(dict(files))
    except UserError as error:
        raise EarlierFormat(str(error)) from None
    repeats = 1 if request.text is not None or request.category is not None else len(generator.categories)
    segments = _codes("--segment", request.segment, tuple(range(generator.segments)), request.count, repeats)
    campaigns = _campaigns(about, request) if request.interest_options else []
    if request.text is not None:
        images = _text_images(files, about, request, segments)
    elif request.personalise:
        images = _personalised_images(generator, request, personaliser, segments, campaigns)
    else:
        images = _category_images(generator, request, segments)
    copies = _copies(about, request, chooser, images, list(zip(segments, campaigns, strict=False)))
    sizes = ad_sizes(tuple(about.get("sizes", (MEDIUM_RECTANGLE.name,))))
    images_and_copies = zip(images.pictures, images.categories, segments, images.notes, copies, strict=True)
    return [
        _row(
            number,
            picture,
            {"generator": generator.name, "category": category, "segment": int(segment), **note},
            copy,
            sizes,
        )
        for number, (picture, category, segment, note, copy) in enumerate(images_and_copies)
    ]


def _row(number: int, picture: np.ndarray, origin: Mapping, copy: _Copy, sizes: Sequence) -> dict:
    """The manifest's row of one image: file names, `origin` (how it was made), context, texts, and PNGs."""
    from components.ads.contact_sheets import ad_png
    from components.ads.markets.market_rules import marks_of
    from components.ads.rendering.image_formats import picture_png

    texts = {"marks": marks_of(None, None, generated=True), **copy.texts}  # packages of earlier releases have no marks
    ads = {f"{number:03d}-ad-{size.name}.png": ad_png(picture, **texts, size=size) for size in sizes}
    names = {"picture": f"{number:03d}-picture.png", "ads": list(ads)}
    return {**names, **origin, **copy.context, **copy.texts, "picture_png": picture_png(picture), "ad_pngs": ads}


def _copies(
    about: Mapping,
    request: GenerateRequest,
    chooser: "CopyChooser | None",
    images: _Images,
    targets: list[tuple[int, dict]],
) -> list[_Copy]:
    """The copy of each image; targets: segment and campaign of each, empty if neither is needed."""
    if request.in_context:
        return _contextual_copies(request, chooser, images, targets)
    if request.personalise:
        campaigns = [campaign for _, campaign in targets]
        return [
            _Copy({"campaign": campaign["campaign"]}, texts)
            for campaign, texts in zip(campaigns, images.texts, strict=True)
        ]
    drawn = np.random.default_rng(request.seed).integers(0, len(about["texts"]), request.count)
    return [_Copy({}, about["texts"][number]) for number in drawn]


def _campaigns(about: Mapping, request: GenerateRequest) -> list[dict]:
    """A random campaign with people's texts for each image."""
    drawn = np.random.default_rng(request.seed).integers(0, len(about["campaigns"]), request.count)
    return [about["campaigns"][number] for number in drawn]


def _category_images(generator, request: GenerateRequest, segments: np.ndarray) -> _Images:
    codes = _codes("--category", request.category, generator.categories, request.count)
    pictures = generator.sample(codes, segments, request.seed)
    return _Images(pictures, [generator.categories[code] for code in codes], [{}] * request.count)


def _personalised_images(
    generator, request: GenerateRequest, personaliser: "Personaliser", segments: np.ndarray, campaigns: list[dict]
) -> _Images:
    """Images that their segments should prefer, with the texts of the search; notes: the gains by both models."""
    from components.ads.copy.copy_choice import Context, combinations, texts

    context, random = Context(request.placement, request.hour), np.random.default_rng((request.seed, 1))
    codes = _codes("--category", request.category, generator.categories, request.count)
    pictures, image_texts, notes = [], [], []
    for number, (category, segment, campaign) in enumerate(zip(codes, segments, campaigns, strict=True)):
        candidates = combinations(campaign, random)
        drawn = candidates.iloc[[random.integers(len(candidates))]]
        seed = int(np.random.default_rng((request.seed, 2, number)).integers(2**31))
        image = personaliser.find(generator, int(category), int(segment), campaign, drawn, context=context, seed=seed)
        pictures.append(image.picture)
        image_texts.append({**texts(drawn.iloc[0]), **_beside(campaign)})
        gains = {"claimed_gain": round(image.claimed_gain, 6), "watched_gain": round(image.watched_gain, 6)}
        notes.append({"steps": image.steps, **gains, "reason": image.reason})
    return _Images(np.stack(pictures), [generator.categories[code] for code in codes], notes, image_texts)


def _contextual_copies(
    request: GenerateRequest, chooser: "CopyChooser", images: _Images, targets: list[tuple[int, dict]]
) -> list[_Copy]:
    """The best copy of each image's campaign in the context, with its expected click-through rates."""
    from components.ads.copy.copy_choice import Context

    context, random, copies = Context(request.placement, request.hour), np.random.default_rng(request.seed), []
    for picture, category, (segment, campaign) in zip(images.pictures, images.categories, targets, strict=True):
        choice = chooser.choose(picture, category, int(segment), campaign, context, random=random)
        rates = zip(CTR_FIELDS, (choice.expected, choice.average, choice.unaware), strict=True)
        note = {"placement": request.placement, "hour": request.hour, "campaign": campaign["campaign"]}
        note |= {name: round(rate, 6) for name, rate in rates}
        copies.append(_Copy(note, {**choice.words, **_beside(campaign)}))
    return copies


def _beside(campaign: Mapping) -> dict:
    """What an ad shows of its campaign beside texts: the brand's colour, and marks if its package knows them."""
    return {name: campaign[name] for name in ("brand_color", "marks") if name in campaign}


def _text_images(files: Mapping[str, bytes], about: Mapping, request: GenerateRequest, segments: np.ndarray) -> _Images:
    """Images of the text; notes: the attributes read from it, attempts, and whether the image shows them."""
    from components.generators.photos.photo_attributes import SPOKEN_BUILD, SPOKEN_TONE
    from components.generators.text_to_image.caption_parser import MAX_CHARACTERS, PARSER_FILE
    from components.generators.text_to_image.text_to_image import TextToImage

    if PARSER_FILE not in files:
        raise UserError("--text: this champion reads no captions; run again with creatives.parser_steps above 0")
    try:
        text_to_image = TextToImage.from_files(files)
    except UserError as error:
        raise EarlierFormat(str(error)) from None
    caption = text_to_image.parser.parse(request.text)
    result = text_to_image.draw([request.text] * request.count, segments, request.seed, about["max_attempts"])
    attributes = {
        "text": request.text[:MAX_CHARACTERS],
        "tone": SPOKEN_TONE[caption.tone],
        "build": SPOKEN_BUILD[caption.build],
    }
    notes = [
        {**attributes, "attempts": int(attempts), "met": bool(met)}
        for attempts, met in zip(result.attempts, result.accepted, strict=True)
    ]
    return _Images(result.pictures, [text_to_image.generator.categories[caption.category]] * request.count, notes)


def _codes(option: str, value, known: tuple, count: int, repeats: int = 1) -> np.ndarray:
    """The code of `value`, `count` times; for None all codes in turn, each `repeats` times. UserError if unknown."""
    if value is None:
        return np.arange(count) // repeats % max(len(known), 1)
    if value not in known:
        raise UserError(f"{option} {value}: the champion knows {json.dumps(list(known), ensure_ascii=False)}")
    return np.full(count, known.index(value))


def _check_placement(placement: str, known: tuple[str, ...]) -> None:
    if not known:
        raise UserError(f"--placement {placement}: the log of this data set names no placements")
    if placement not in known:
        raise UserError(f"--placement {placement}: the champion knows {json.dumps(sorted(known), ensure_ascii=False)}")
