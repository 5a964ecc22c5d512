"""Review all generators against real photos: which may be registered, and which fill the pool."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import MIN_TEST, Photos
from components.generators.quality.photo_classifier import Classifier, train_classifier
from components.generators.quality.photo_manifold import Manifold
from components.generators.quality.quality_report import (
    Limits,
    Quality,
    Verdict,
    assess_generator,
    guessing_accuracy,
    real_photo_quality,
    verdict_of,
)
from components.images import NetworkEncoder, PictureEncoder
from components.settings.errors import UserError
from components.settings.sections import CreativesConfig

DIMENSIONS = 64  # of the encoder for near-duplicates, copies and the manifold
HELD_OUT = 0.1  # share of the photos used as test photos if there is no test split, at least MIN_TEST


@dataclass(frozen=True)
class Review:
    """The review. real_photos: their quality; quality, verdicts: by generator's name; best: passing, with the best CAS.

    best is None if no generator passes; then there is no pool, and the gate refuses. manifold: of all training photos;
    classifier: trained on real photos.
    """

    real_photos: Quality
    quality: Mapping[str, Quality]
    verdicts: Mapping[str, Verdict]
    best: str | None
    manifold: Manifold
    classifier: Classifier

    def passing(self) -> tuple[str, ...]:
        """Names of the generators that may fill the pool, best first."""
        names = (name for name, verdict in self.verdicts.items() if verdict.passed)
        return tuple(sorted(names, key=lambda name: -self.quality[name].cas))

    def leading(self) -> str:
        """Name of the generator for captions: the best that passes, or the best of all if none passes."""
        return self.best or max(self.quality, key=lambda name: self.quality[name].cas)

    def gate(self) -> Verdict:
        """The registry's gate: passed if at least one generator passes, with the reasons of all."""
        reasons = (f"{name}: {'; '.join(verdict.reasons)}" for name, verdict in self.verdicts.items())
        return Verdict(self.best is not None, tuple(reasons))

    def to_dict(self) -> dict[str, object]:
        """The metrics and the gate as JSON values."""
        gate = self.gate()
        return {
            "real_photos": self.real_photos.metrics(),
            "quality": {name: quality.metrics() for name, quality in self.quality.items()},
            "gate": {"passed": gate.passed, "reasons": list(gate.reasons)},
            "best": self.best,
        }


def review(
    generators: Mapping[str, Generator],
    train: Photos,
    test: Photos | None,
    config: CreativesConfig,
    duplicate_encoder: NetworkEncoder | None = None,
) -> Review:
    """The review of trained generators. duplicate_encoder: for near-duplicates, None: principal components.

    test None: a tenth of the training photos is used. The generators were trained on it, so the distances are slightly
    too small; copies are counted against the other nine tenths.
    """
    if not generators:
        raise UserError("creatives.generators is empty and creatives.pretrained is null: there is nothing to judge")
    training = train
    if test is None:
        order = np.random.default_rng(config.seed).permutation(len(train.category))
        held = min(max(MIN_TEST, int(HELD_OUT * len(order))), len(order) // 2)
        train, test = train.take(order[held:]), train.take(order[:held])
    some = np.random.default_rng(config.seed).permutation(len(train.category))[: config.quality_photos]
    classifier = train_classifier(train.take(some), config.seed)
    manifold = _manifold(train, duplicate_encoder)
    real = real_photo_quality(test, classifier, manifold)
    quality = {
        name: assess_generator(
            generator, train, test, classifier, manifold, samples=config.quality_samples, seed=config.seed
        )
        for name, generator in generators.items()
    }
    limits = Limits(config.min_cas, config.min_category_match, config.min_diversity)
    verdicts = {name: verdict_of(measured, real, limits, guessing_accuracy(test)) for name, measured in quality.items()}
    passed = [name for name, verdict in verdicts.items() if verdict.passed]
    best = max(passed, key=lambda name: quality[name].cas) if passed else None
    admission_manifold = manifold if training is train else _manifold(training, duplicate_encoder)
    return Review(real, quality, verdicts, best, admission_manifold, classifier)


def _manifold(photos: Photos, duplicate_encoder: NetworkEncoder | None) -> Manifold:
    return Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, DIMENSIONS), duplicate_encoder)
