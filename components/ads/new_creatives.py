"""Make new creatives: train and review generators, and fill a pool of ads, with photos of products or generated images,
by the interest model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from components.ads.admission import Standards
from components.ads.contact_sheets import (
    ad_names,
    ads,
    ads_sheet,
    caption_sheet,
    known_texts,
    people_sheet,
    sample_sheet,
)
from components.ads.copy.admitted_texts import admitted_texts
from components.ads.copy.copy_choice import wordings
from components.ads.copy.product_facts import facts_by_product
from components.ads.inspection.inspector import Inspector
from components.ads.pools.audience_score import audience_score
from components.ads.pools.generated_ads import generated_ads
from components.ads.pools.pool import Pool, fill_pool
from components.ads.pools.product_ads import Written, product_ads
from components.ads.pools.proposals import Proposals
from components.ads.pools.review_list import review_list
from components.ads.pools.reviews import Reviews
from components.ads.rendering.ad_sizes import AdSize, ad_sizes
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

PRODUCT, GENERATED = "product", "generated"  # values of `ads.pictures`; the third is `both`
TRUSTED = 0.8  # accuracy on real photos from which the classifier's word on a category counts
WRITTEN_SHARE = {"people": 0.0, "both": 0.5, "written": 1.0}  # of product ads, by `ads.headlines`


@dataclass(frozen=True)
class CreativesInputs:
    """Validated tables, the feature model, its features, the interest model with its package's digest, the currency
    of prices (ISO 4217), and what people decided about earlier creatives."""

    tables: Mapping[str, pd.DataFrame]
    model: FeatureModel
    features: Features
    interest: CalibratedModel
    interest_digest: str
    currency: str
    reviews: Reviews = field(default_factory=Reviews)


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
    """Train and review the generators, add captions to the best one, and fill the pool (`ads.pictures`).

    If there are too few photos, or no generator passes, the record says so and no ad has a generated image.
    """
    made = NewCreatives({"generators": {}, "gate": None, "pool": 0, "remarks": []})
    facts = facts_by_product(sources.tables)
    standards = Standards(
        banned_words=config.ads.banned_words, facts=facts, sizes=ad_sizes(config.ads.sizes), markets=config.ads.markets
    )
    texts, unusable = admitted_texts(sources.tables, replace(standards, facts=None, sizes=()))
    _add_people(made, sources.tables, ad_sizes(config.ads.sizes)[0])
    proposals: list[Proposals] = []
    audience = draw_audience(sources.features, sources.features.segments, config.audience, config.seed)
    try:
        trained = _train(made, sources, training, audience, config=config, texts=texts)
        standards = replace(
            standards,
            manifold=trained.review.manifold,
            duplicate_fraction=config.duplicate_fraction,
            recognises=trained.review.classifier if trained.review.real_photos.cas >= TRUSTED else None,
        )
        if config.ads.pictures != PRODUCT:
            generators = trained.passing()
            proposals.append(
                generated_ads(texts, generators, config.pool_per_campaign, seed=config.seed, markets=config.ads.markets)
            )
    except NoNewPictures as why:
        made.record["remarks"].append(f"no new images were made: {why}")
    made.record["remarks"] += unusable
    if config.ads.pictures != GENERATED:
        written = Written(facts, sources.currency, WRITTEN_SHARE[config.ads.headlines], config.ads.markets)
        with_photos, without_photos = product_ads(texts, config.pool_per_campaign, written, seed=config.seed)
        proposals.append(with_photos)
        made.record["remarks"] += without_photos
    score = audience_score(sources.interest, sources.model, audience, sources.tables, sources.features.looks)
    inspector = Inspector(sources.tables["campaigns"], ad_sizes(config.ads.sizes), config.ads)
    pool = fill_pool(
        texts, proposals, standards, score, config.pool_per_campaign, inspect=inspector, reviews=sources.reviews
    )
    _add_pool(made, pool, sources.tables["campaigns"], ad_sizes(config.ads.sizes), inspector.drawn)
    made.record["remarks"] += pool.remarks() if pool.drawn else ()
    made.record |= {"pool": len(pool.creatives), "waiting": len(pool.waiting)}
    return made


@dataclass(frozen=True)
class _Trained:
    """Generators by name, and their review."""

    generators: Mapping[str, Generator]
    review: Review

    def passing(self) -> list[Generator]:
        """Those that passed the gate; NoNewPictures if none did."""
        if not self.review.passing():
            raise NoNewPictures("no generator passed the gate")
        return [self.generators[name] for name in self.review.passing()]


def _train(
    made: NewCreatives,
    sources: CreativesInputs,
    training: GeneratorSources,
    audience: pd.DataFrame,
    *,
    config: CreativesStageConfig,
    texts: Mapping[str, pd.DataFrame],
) -> _Trained:
    """The trained and adopted generators, with their files, figures and sheets added to `made`.

    NoNewPictures if there are too few photos.
    """
    photos, test, remarks = training_photos(sources.tables, sources.features, config.side)
    photos, test = denoise(photos, config.denoise), test and denoise(test, config.denoise)
    adopted = training.adopt(photos)
    trained = training.train(augment(photos, config.augment))
    generators = {name: run.generator for name, run in trained.items()} | adopted
    judged = review(generators, photos, test, config, sources.model.network)
    made.seconds = {name: run.summary.seconds for name, run in trained.items()}
    for name in judged.passing() or generators:
        made.add_files(f"model/{name}", (trained | adopted)[name].files())
    _describe_model(made, judged, audience, _about(sources, texts, judged, config))
    made.add_files("boards", {f"{name}.png": sample_sheet(generator) for name, generator in generators.items()})
    if config.parser_steps:
        leading = generators[judged.leading()]
        remarks = (*remarks, _add_captions(made, leading, photos, judged, config, encoder=training.text_encoder))
    starts = [run.start for run in trained.values() if run.start]
    made.record |= {"generators": {name: run.to_dict() for name, run in trained.items()}, **judged.to_dict()}
    made.record["remarks"] += [*remarks, *starts]
    return _Trained(generators, judged)


def _about(
    sources: CreativesInputs, texts: Mapping[str, pd.DataFrame], judged: Review, config: CreativesStageConfig
) -> dict[str, Any]:
    """The content of about.json, which `adloom generate` reads: texts without claims, since no product backs them."""
    texts, _ = admitted_texts(texts, Standards(facts={}, markets=config.ads.markets))
    return {
        "best": judged.leading(),
        "texts": known_texts(texts, config.ads.markets),
        "max_attempts": config.max_attempts,
        "sizes": list(config.ads.sizes),
        "campaigns": wordings(texts, config.ads.markets),
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


def _add_pool(
    made: NewCreatives,
    pool: Pool,
    campaigns: pd.DataFrame,
    sizes: Sequence[AdSize],
    pngs: Mapping[tuple[str, str], bytes],
) -> None:
    made.tables["review/creatives.parquet"], pictures = review_list(pool, pngs, sizes[0])
    made.files |= pictures
    if pool.creatives.empty:
        return
    made.tables |= {f"pool/{name}.parquet": getattr(pool, name) for name in ("creatives", "images", "ranking")}
    for size, drawn in ads(pool, campaigns, sizes, pngs).items():
        made.add_files("pool/ads", drawn)
        made.add_files("boards", {f"ads-{size.name}.png": ads_sheet(drawn)})
    made.documents["pool/ads.json"] = ad_names(pool, sizes)
