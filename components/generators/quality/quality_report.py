"""The quality report of a generator, the floor that real photos set, and the gate of the registry."""

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

NEIGHBOURHOOD = 3000  # pictures that precision, recall, density and coverage look at: they take the square of it


@dataclass(frozen=True)
class Quality:
    """How good `samples` pictures are, on features of the fixed classifier (not Inception's).

    frechet, kid: distances to real test photos, lower is better; precision, recall, coverage: in [0, 1]; density: about
    1 for real photos; cas: accuracy on real test photos of a classifier trained on the pictures alone (Ravuri & Vinyals
    2019); reverse_cas: share of the pictures that the fixed classifier takes for what was asked; diversity: spread
    within the least diverse category over that of real photos, of those with pictures enough to tell; memorised: share
    that copy a training photo; off_manifold: share outside the bounds of real photos.
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
        """The figures alone, by name."""
        return {name: float(value) for name, value in asdict(self).items() if name != "name"}


@dataclass(frozen=True)
class Limits:
    """What a generator must reach to be registered, relative to what real photos of the data set reach.

    min_cas, min_reverse_cas: in [0, 1], how far on the way from guessing (0) to real photos (1).
    """

    min_cas: float = 0.5
    min_reverse_cas: float = 0.5
    min_diversity: float = 0.4
    max_memorised_over_floor: float = 0.01
    max_frechet_over_floor: float = 100.0


@dataclass(frozen=True)
class Verdict:
    """Whether a generator may be registered, and why, in words."""

    passed: bool
    reasons: tuple[str, ...]


def assess(
    generator: Generator,
    train: Photos,
    test: Photos,
    classifier: Classifier,
    manifold: Manifold,
    samples: int,
    seed: int,
) -> Quality:
    """`samples` pictures in the training photos' shares of categories and segments -> their quality."""
    return assess_pictures(generator.name, draw(generator, train, samples, seed), train, test, classifier, manifold)


def floor(train: Photos, test: Photos, classifier: Classifier, manifold: Manifold) -> Quality:
    """What real photos score: half of the test photos stand in for a generator, the other half for the test.

    `cas` is the accuracy of the classifier that was trained on real photos.
    """
    # every other photo, for a table sorted by category would leave its halves no category in common
    measured = assess_pictures(
        "real photos",
        test.take(slice(0, None, 2)),
        train,
        test.take(slice(1, None, 2)),
        classifier,
        manifold,
        cas=False,
    )
    return replace(measured, cas=classifier.accuracy(test))


def draw(generator: Generator, train: Photos, samples: int, seed: int) -> Photos:
    """Made pictures with the conditions that they were made for, as many of each category as among the photos."""
    random = np.random.default_rng(seed)
    rows = random.choice(len(train.category), samples, replace=samples > len(train.category))
    cumulative = np.cumsum(train.segment_weights[rows], axis=1, dtype=np.float64)
    segment = np.minimum((cumulative <= random.random((samples, 1))).sum(axis=1), train.segments)
    pictures = generator.sample(train.category[rows], segment, seed)
    return Photos(pictures, train.category[rows], train.categories, train.segment_weights[rows])


def assess_pictures(
    name: str, made: Photos, train: Photos, test: Photos, classifier: Classifier, manifold: Manifold, cas: bool = True
) -> Quality:
    """Pictures with the conditions they were made for -> their quality; cas=False spares its training and leaves 0."""
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
    """float [n, d] -> at most `NEIGHBOURHOOD` of its rows, by chance: photos may come sorted by category."""
    return np.random.default_rng(0).permutation(features)[:NEIGHBOURHOOD]


def guessing(photos: Photos) -> float:
    """The accuracy of naming always the most frequent category."""
    return float(np.bincount(photos.category).max() / len(photos.category))


def judge(quality: Quality, ground: Quality, limits: Limits, chance: float) -> Verdict:
    """A generator's quality, the floor, and what guessing reaches -> whether it may be registered. Pure."""
    cas, asked = (
        chance + share * max(real - chance, 0.0)
        for share, real in ((limits.min_cas, ground.cas), (limits.min_reverse_cas, ground.reverse_cas))
    )
    faults = []
    if max(limits.min_cas, limits.min_reverse_cas) > 0 and not _tells(ground, chance):
        faults.append(
            f"real photos are told apart in {ground.cas:.1%} of cases, and guessing is right in {chance:.1%}: by so "
            "little no generator of this data set can be judged"
        )
    if quality.cas < cas and limits.min_cas > 0:
        faults.append(
            f"CAS {quality.cas:.3f} is below {cas:.3f} (real photos: {ground.cas:.3f}, guessing: {chance:.3f})"
        )
    if quality.reverse_cas < asked and limits.min_reverse_cas > 0:
        faults.append(
            f"{quality.reverse_cas:.1%} of its pictures show what was asked, below {asked:.1%} (real photos: "
            f"{ground.reverse_cas:.1%})"
        )
    if quality.diversity < limits.min_diversity:
        faults.append(
            f"mode collapse: its least diverse category spreads {quality.diversity:.2f} as far as real photos, "
            f"below {limits.min_diversity:g}"
        )
    if quality.memorised > ground.memorised + limits.max_memorised_over_floor:
        faults.append(
            f"{quality.memorised:.2%} of its pictures copy a photo (real test photos: {ground.memorised:.2%})"
        )
    if quality.frechet > ground.frechet + limits.max_frechet_over_floor:
        faults.append(f"Frechet distance {quality.frechet:.1f} (real photos: {ground.frechet:.1f})")
    if faults:
        return Verdict(False, tuple(faults))
    return Verdict(
        True, (f"CAS {quality.cas:.3f}, diversity {quality.diversity:.2f}, no more copies than real photos",)
    )


def _tells(ground: Quality, chance: float) -> bool:
    """Whether the judge of real photos is surely better than guessing, by two standard errors; or has one category."""
    return chance == 1 or ground.cas > chance + 2 * np.sqrt(chance * (1 - chance) / max(ground.samples, 1))
