"""Make new creatives: train and review generators, and fill a pool of ads by the interest model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from components.ads.ad_sizes import AdSize, ad_sizes
from components.ads.admission import Standards
from components.ads.admitted_texts import admitted_texts
from components.ads.audience_score import audience_score
from components.ads.contact_sheets import (
    ad_names,
    ads,
    ads_sheet,
    caption_sheet,
    known_texts,
    people_sheet,
    sample_sheet,
)
from components.ads.copy_choice import wordings
from components.ads.pool import Pool, fill_pool
from components.features import FeatureModel, Features
from components.generators.generator_protocol import Generator
from components.generators.photos.preprocessing import augment, denoise
from components.generators.photos.training_photos import NoNewPictures, Photos, training_photos
from components.generators.quality.photo_manifold import BOUNDS_FILE
from components.generators.quality.quality_review import Review, review
from components.generators.text_to_image.text_encoders import TextEncoder
from components.generators.text_to_image.text_to_image import (
    CAPTIONS_FOLDER,
    parsing_report,
    train_text_to_image,
)
from components.interest import CalibratedModel
from components.interest.segment_scores import draw_audience
from components.settings.sections import CreativesStageConfig


@dataclass(frozen=True)
class CreativesInputs:
    """Validated tables, the feature model, its features, and the interest model with its package's digest."""

    tables: Mapping[str, pd.DataFrame]
    model: FeatureModel
    features: Features
    interest: CalibratedModel
    interest_digest: str


@dataclass(frozen=True)
class GeneratorSources:
    """Where generators come from. adopt: photos -> pretrained ones by name. train: photos -> trained ones by name, with
    `generator`, `files()`, `to_dict()`, `start` and `summary`. text_encoder: of captions."""

    adopt: Callable[[Photos], Mapping[str, Generator]]
    train: Callable[[Photos], Mapping[str, Any]]
    text_encoder: TextEncoder


@dataclass
class NewCreatives:
    """The outputs of the stage: files, tables and JSON documents by relative name, and a record.

    seconds: of each training, only for the page, since they differ in a rerun.
    """

    record: dict[str, Any]
    seconds: Mapping[str, float] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)

    def add_files(self, folder: str, contents: Mapping[str, bytes]) -> None:
        """Add each of `contents` (relative name -> bytes) below `folder`."""
        self.files |= {f"{folder}/{name}": content for name, content in contents.items()}


def make_creatives(sources: CreativesInputs, training: GeneratorSources, config: CreativesStageConfig) -> NewCreatives:
    """Train and review the generators, add captions to the best one, and fill the pool with those that pass.

    If there are too few photos, or no generator passes, the record says so and there is no pool.
    """
    sizes = ad_sizes(config.ads.sizes)
    try:
        photos, test, remarks = training_photos(sources.tables, sources.features, config.side)
    except NoNewPictures as why:
        remarks = [f"no new images were made: {why}"]
        made = NewCreatives({"generators": {}, "gate": None, "pool": 0, "remarks": remarks})
        _add_people(made, sources.tables, sizes[0])
        return made
    photos, test = denoise(photos, config.denoise), test and denoise(test, config.denoise)
    adopted = training.adopt(photos)
    trained = training.train(augment(photos, config.augment))
    generators = {name: run.generator for name, run in trained.items()} | adopted
    judged = review(generators, photos, test, config, sources.model.network)
    texts, unusable = admitted_texts(sources.tables, Standards(banned_words=config.ads.banned_words))
    made = NewCreatives({}, {name: run.summary.seconds for name, run in trained.items()})
    for name in judged.passing() or generators:
        made.add_files(f"model/{name}", (trained | adopted)[name].files())
    audience = draw_audience(sources.features, photos.segments, config.audience, config.seed)
    _describe_model(made, judged, audience, _about(sources, texts, judged, config))
    made.add_files("boards", {f"{name}.png": sample_sheet(generator) for name, generator in generators.items()})
    _add_people(made, sources.tables, sizes[0])
    if config.parser_steps:
        leading = generators[judged.leading()]
        remarks = (*remarks, _add_captions(made, leading, photos, judged, config, encoder=training.text_encoder))
    pool, refusals = _filled_pool(sources, texts, generators, judged, audience, config=config)
    if pool is not None and len(pool.creatives):
        _add_pool(made, pool, sources.tables["campaigns"], sizes)
    starts = [run.start for run in trained.values() if run.start]
    made.record |= {
        "generators": {name: run.to_dict() for name, run in trained.items()},
        **judged.to_dict(),
        "remarks": [*remarks, *refusals, *unusable, *starts, *(pool.remarks() if pool else ())],
        "pool": 0 if pool is None else len(pool.creatives),
    }
    return made


def _about(
    sources: CreativesInputs, texts: Mapping[str, pd.DataFrame], judged: Review, config: CreativesStageConfig
) -> dict[str, Any]:
    """The content of about.json, which `adloom generate` reads."""
    return {
        "best": judged.leading(),
        "texts": known_texts(texts),
        "max_attempts": config.max_attempts,
        "sizes": list(config.ads.sizes),
        "campaigns": wordings(texts),
        "interest": sources.interest_digest,
    }


def _describe_model(made: NewCreatives, judged: Review, audience: pd.DataFrame, about: Mapping[str, Any]) -> None:
    made.documents["model/about.json"] = about
    made.tables["model/audience.parquet"] = audience
    made.add_files("model", {BOUNDS_FILE: judged.manifold.bounds.to_bytes()})


def _add_people(made: NewCreatives, tables: Mapping[str, pd.DataFrame], size: AdSize) -> None:
    """Add a sheet of the ads that people made, if they have images."""
    sheet = people_sheet(tables, size)
    if sheet is not None:
        made.add_files("boards", {f"people-{size.name}.png": sheet})


def _add_captions(
    made: NewCreatives,
    generator: Generator,
    photos: Photos,
    judged: Review,
    config: CreativesStageConfig,
    *,
    encoder: TextEncoder,
) -> str:
    """Train a parser of captions for `generator`, and add its files and a sheet; a remark on its accuracy."""
    text_to_image = train_text_to_image(
        generator, photos, judged.classifier, config.seed, steps=config.parser_steps, encoder=encoder
    )
    made.add_files(f"model/{CAPTIONS_FOLDER}", text_to_image.caption_files())
    made.add_files("boards", {"captions.png": caption_sheet(text_to_image, attempts=config.max_attempts)})
    return parsing_report(text_to_image, config.seed)


def _filled_pool(
    sources: CreativesInputs,
    texts: Mapping[str, pd.DataFrame],
    generators: Mapping[str, Generator],
    judged: Review,
    audience: pd.DataFrame,
    *,
    config: CreativesStageConfig,
) -> tuple[Pool | None, tuple[str, ...]]:
    """The pool of the generators that passed, and no remarks; without a pool None and the reason."""
    if not judged.passing():
        return None, ("no new images were made: no generator passed the gate",)
    score = audience_score(sources.interest, sources.model, audience, sources.tables)
    standards = Standards(judged.manifold, config.duplicate_fraction, config.ads.banned_words)
    passing = [generators[name] for name in judged.passing()]
    try:
        pool = fill_pool(texts, passing, standards, score, config.pool_per_campaign, seed=config.seed)
    except NoNewPictures as why:
        return None, (f"no new images were made: {why}",)
    return pool, ()


def _add_pool(made: NewCreatives, pool: Pool, campaigns: pd.DataFrame, sizes: Sequence[AdSize]) -> None:
    made.tables |= {f"pool/{name}.parquet": getattr(pool, name) for name in ("creatives", "images", "ranking")}
    for size, drawn in ads(pool, campaigns, sizes).items():
        made.add_files("pool/ads", drawn)
        made.add_files("boards", {f"ads-{size.name}.png": ads_sheet(drawn)})
    made.documents["pool/ads.json"] = ad_names(pool, sizes)
