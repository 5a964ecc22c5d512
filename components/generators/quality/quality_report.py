"""The quality metrics of a generator, those of real photos, and the verdict for the registry's gate."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from components.generators.generator_protocol import Generator
from components.generators.photos.training_photos import Photos
from components.generators.quality.distances import (
    density_coverage,
    frechet,
    kernel_distance,
    precision_recall,
    relative_spread,
)
from components.generators.quality.photo_classifier import Classifier, train_classifier
from components.generators.quality.photo_manifold import Manifold

NEIGHBOURHOOD = 3000  # images for precision, recall, density and coverage, whose cost is quadratic


@dataclass(frozen=True)
class Quality:
    """Quality metrics of `samples` images, on features of the fixed classifier (not Inception's).

    frechet, kid: distances to real test photos, lower is better; precision, recall, coverage: in [0, 1]; density: about
    1 for real photos; cas: accuracy on real test photos of a classifier trained on the images alone (Ravuri & Vinyals
    2019); reverse_cas: share of the images that the fixed classifier assigns to the requested category; diversity:
    spread within the least diverse category over that of real photos, of categories with enough images; memorised:
    share that copy a training photo; off_manifold: share outside the bounds of real photos.
    """

    name: str
    samples: int
    frechet: float
    kid: float
    precision: float
    recall: float
    density: float
    coverage: float
    cas: float
    reverse_cas: float
    diversity: float
    memorised: float
    off_manifold: float

    def metrics(self) -> dict[str, float]:
        """Name of each metric -> its value."""
        return {name: float(value) for name, value in asdict(self).items() if name != "name"}


@dataclass(frozen=True)
class Limits:
    """The limits for registering a generator, relative to real photos of the data set.

    min_cas, min_reverse_cas: in [0, 1]; 0 is guessing, 1 is what real photos reach.
    """

    min_cas: float = 0.5
    min_reverse_cas: float = 0.5
    min_diversity: float = 0.4
    max_memorised_over_floor: float = 0.01
    max_frechet_over_floor: float = 100.0


@dataclass(frozen=True)
class Verdict:
    """Whether a generator may be registered, and the reasons."""

    passed: bool
    reasons: tuple[str, ...]


def assess_generator(
    generator: Generator,
    train: Photos,
    test: Photos,
    classifier: Classifier,
    manifold: Manifold,
    *,
    samples: int,
    seed: int,
) -> Quality:
    """The quality of `samples` images, with categories and segments in the proportions of the training photos."""
    return assess_pictures(generator.name, draw_samples(generator, train, samples, seed), test, classifier, manifold)


def real_photo_quality(test: Photos, classifier: Classifier, manifold: Manifold) -> Quality:
    """The quality of real photos: half of the test photos are assessed like a generator's, against the other half.

    `cas` is the accuracy of the classifier that was trained on real photos.
    """
    # every other photo, since halves of a table sorted by category would have no category in common
    measured = assess_pictures(
        "real photos",
        test.take(slice(0, None, 2)),
        test.take(slice(1, None, 2)),
        classifier,
        manifold,
        cas=False,
    )
    return replace(measured, cas=classifier.accuracy(test))


def draw_samples(generator: Generator, train: Photos, samples: int, seed: int) -> Photos:
    """Generated images with their conditions, in the categories' proportions of the photos."""
    random = np.random.default_rng(seed)
    rows = random.choice(len(train.category), samples, replace=samples > len(train.category))
    cumulative = np.cumsum(train.segment_weights[rows], axis=1, dtype=np.float64)
    segment = np.minimum((cumulative <= random.random((samples, 1))).sum(axis=1), train.segments)
    pictures = generator.sample(train.category[rows], segment, seed)
    return Photos(pictures, train.category[rows], train.categories, train.segment_weights[rows])


def assess_pictures(
    name: str,
    made: Photos,
    test: Photos,
    classifier: Classifier,
    manifold: Manifold,
    *,
    cas: bool = True,
) -> Quality:
    """The quality of the images `made`, with their conditions; cas=False skips the training for CAS and gives 0."""
    real, fake = classifier.features(test.pictures), classifier.features(made.pictures)
    near_real, near_fake = _some(real), _some(fake)
    precision, recall = precision_recall(near_real, near_fake)
    density, coverage = density_coverage(near_real, near_fake)
    return Quality(
        name=name,
        samples=len(made.category),
        frechet=frechet(real, fake),
        kid=kernel_distance(real, fake),
        precision=precision,
        recall=recall,
        density=density,
        coverage=coverage,
        cas=train_classifier(made).accuracy(test) if cas else 0.0,
        reverse_cas=classifier.accuracy(made),
        diversity=relative_spread(fake, made.category, real, test.category),
        memorised=float(manifold.copies(made.pictures).mean()),
        off_manifold=float((manifold.excess(made.pictures) > 0).mean()),
    )


def _some(features: np.ndarray) -> np.ndarray:
    """At most NEIGHBOURHOOD random rows of float [n, d]; random, since photos may be sorted by category."""
    return np.random.default_rng(0).permutation(features)[:NEIGHBOURHOOD]


def guessing_accuracy(photos: Photos) -> float:
    """The accuracy of always predicting the most frequent category."""
    return float(np.bincount(photos.category).max() / len(photos.category))


def verdict_of(quality: Quality, real: Quality, limits: Limits, chance: float) -> Verdict:
    """Whether a generator of this `quality` may be registered. real: quality of real photos; chance: of guessing."""
    cas, requested = (
        chance + share * max(reached - chance, 0.0)
        for share, reached in ((limits.min_cas, real.cas), (limits.min_reverse_cas, real.reverse_cas))
    )
    faults = []
    if max(limits.min_cas, limits.min_reverse_cas) > 0 and not _classifier_beats_guessing(real, chance):
        faults.append(
            f"the classifier is right on {real.cas:.1%} of real photos and guessing on {chance:.1%}, too small a "
            "difference to judge generators of this data set"
        )
    if quality.cas < cas and limits.min_cas > 0:
        faults.append(f"CAS {quality.cas:.3f} is below {cas:.3f} (real photos: {real.cas:.3f}, guessing: {chance:.3f})")
    if quality.reverse_cas < requested and limits.min_reverse_cas > 0:
        faults.append(
            f"{quality.reverse_cas:.1%} of its images show the requested category, below {requested:.1%} (real photos: "
            f"{real.reverse_cas:.1%})"
        )
    if quality.diversity < limits.min_diversity:
        faults.append(
            f"mode collapse: its least diverse category spreads {quality.diversity:.2f} as far as real photos, "
            f"below {limits.min_diversity:g}"
        )
    if quality.memorised > real.memorised + limits.max_memorised_over_floor:
        faults.append(f"{quality.memorised:.2%} of its images copy a photo (real test photos: {real.memorised:.2%})")
    if quality.frechet > real.frechet + limits.max_frechet_over_floor:
        faults.append(f"Frechet distance {quality.frechet:.1f} (real photos: {real.frechet:.1f})")
    if faults:
        return Verdict(False, tuple(faults))
    return Verdict(
        True, (f"CAS {quality.cas:.3f}, diversity {quality.diversity:.2f}, no more copies than real photos",)
    )


def _classifier_beats_guessing(real: Quality, chance: float) -> bool:
    """Whether the classifier beats guessing by two standard errors on real photos, or there is only one category."""
    return chance == 1 or real.cas > chance + 2 * np.sqrt(chance * (1 - chance) / max(real.samples, 1))
