"""Judge all trained generators against real photos, and say which may be registered and which fills the pool."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import MIN_TEST, Photos
from components.generators.quality.photo_classifier import Classifier, train_classifier
from components.generators.quality.photo_manifold import Manifold
from components.generators.quality.quality_report import Limits, Quality, Verdict, assess, floor, guessing, judge
from components.images import NetworkEncoder, PictureEncoder
from components.settings.errors import UserError
from components.settings.sections import CreativesConfig

DIMENSIONS = 64  # of the encoder behind duplicates, copies and the manifold
HELD_OUT = 0.1  # share of the photos that stands in for a test split where the data have none, `MIN_TEST` at least


@dataclass(frozen=True)
class Review:
    """ground: what real photos score; quality, verdicts: by generator's name; best: the passing one with the best CAS.

    best is None where none passes; the pool is then filled by none, and the gate refuses. manifold: of all photos that
    the generators learned from; classifier: the judge, which learned from real photos.
    """

    ground: Quality
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
        """Name of the generator that draws for captions: the best that passes, or the best of all where none does."""
        return self.best or max(self.quality, key=lambda name: self.quality[name].cas)

    def gate(self) -> Verdict:
        """The registry's gate: passed where at least one generator passes, with the reasons of all."""
        reasons = (f"{name}: {'; '.join(verdict.reasons)}" for name, verdict in self.verdicts.items())
        return Verdict(self.best is not None, tuple(reasons))

    def to_dict(self) -> dict[str, object]:
        """The figures and the gate as JSON values."""
        gate = self.gate()
        return {
            "real_photos": self.ground.metrics(),
            "quality": {name: quality.metrics() for name, quality in self.quality.items()},
            "gate": {"passed": gate.passed, "reasons": list(gate.reasons)},
            "best": self.best,
        }


def review(
    generators: Mapping[str, Generator],
    train: Photos,
    test: Photos | None,
    config: CreativesConfig,
    likeness: NetworkEncoder | None = None,
) -> Review:
    """Trained generators and photos -> their review; likeness: of near-duplicates, None: principal components.

    test None: a tenth of the training photos stands in for it. The generators have seen those, so that the distances
    flatter them a little; copies are counted against the other nine tenths.
    """
    if not generators:
        raise UserError("creatives.generators is empty and creatives.pretrained is null: there is nothing to judge")
    learned = train
    if test is None:
        order = np.random.default_rng(config.seed).permutation(len(train.category))
        held = min(max(MIN_TEST, int(HELD_OUT * len(order))), len(order) // 2)
        train, test = train.take(order[held:]), train.take(order[:held])
    some = np.random.default_rng(config.seed).permutation(len(train.category))[: config.quality_photos]
    classifier = train_classifier(train.take(some), config.seed)
    manifold = _manifold(train, likeness)
    ground = floor(train, test, classifier, manifold)
    quality = {
        name: assess(generator, train, test, classifier, manifold, config.quality_samples, config.seed)
        for name, generator in generators.items()
    }
    limits = Limits(config.min_cas, config.min_category_match, config.min_diversity)
    verdicts = {name: judge(measured, ground, limits, guessing(test)) for name, measured in quality.items()}
    passed = [name for name, verdict in verdicts.items() if verdict.passed]
    best = max(passed, key=lambda name: quality[name].cas) if passed else None
    admitting = manifold if learned is train else _manifold(learned, likeness)
    return Review(ground, quality, verdicts, best, admitting, classifier)


def _manifold(photos: Photos, likeness: NetworkEncoder | None) -> Manifold:
    return Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, DIMENSIONS), likeness)
