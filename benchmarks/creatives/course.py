"""The set-up of the generator benchmarks: real photos, one classifier and manifold for all models, and the figures."""

from dataclasses import dataclass
from pathlib import Path

CURVE_SAMPLES = 2000
CLASSIFIER = "classifier.keras"


@dataclass(frozen=True)
class Course:
    """photos, test: real; classifier: trained on all of `photos`; samples: images assessed at the end."""

    photos: object
    test: object
    classifier: object
    manifold: object
    samples: int

    def distance(self, generator, seed: int) -> dict[str, float]:
        """Frechet distance, KID and coverage of CURVE_SAMPLES images: a point of the curve."""
        from components.generators.quality.distances import density_coverage, frechet, kernel_distance
        from components.generators.quality.quality_report import draw_samples

        made = self.classifier.features(draw_samples(generator, self.photos, CURVE_SAMPLES, seed).pictures)
        real = self.classifier.features(self.test.pictures)
        coverage = density_coverage(real[:CURVE_SAMPLES], made)[1]
        return {"frechet": frechet(real, made), "kid": kernel_distance(real, made), "coverage": coverage}

    def judge(self, generator, seed: int) -> dict[str, float]:
        """All figures of the quality report, including CAS."""
        from components.generators.quality.quality_report import assess_generator

        photos = self.photos, self.test
        quality = assess_generator(generator, *photos, self.classifier, self.manifold, samples=self.samples, seed=seed)
        return quality.metrics()

    def real_photo_quality(self) -> dict[str, float]:
        """The figures of real photos."""
        from components.generators.quality.quality_report import real_photo_quality

        return real_photo_quality(self.test, self.classifier, self.manifold).metrics()


def lay_out(samples: int, folder: Path) -> Course:
    """The course; its classifier is stored in `folder`, so that models measured in separate calls share it."""
    from benchmarks.creatives.shelf import shelf
    from components.generators.keras_generator import network_bytes, network_from_bytes
    from components.generators.quality.photo_classifier import Classifier, train_classifier
    from components.generators.quality.photo_manifold import Manifold
    from components.generators.quality.quality_review import DIMENSIONS
    from components.images import PictureEncoder

    photos, test = shelf()
    file = folder / CLASSIFIER
    if file.exists():
        classifier = Classifier(network_from_bytes(file.read_bytes()), photos.categories)
    else:
        classifier = train_classifier(photos)
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(network_bytes(classifier.network))
    manifold = Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, DIMENSIONS))
    return Course(photos, test, classifier, manifold, samples)
