"""What generators are raced on: real photos, the fixed classifier, the manifold, and the figures that are taken."""

from dataclasses import dataclass
from pathlib import Path

CURVE_SAMPLES = 2000
CLASSIFIER = "classifier.keras"


@dataclass(frozen=True)
class Course:
    """photos, test: real; classifier: learned from all of `photos`; samples: pictures judged at the end."""

    photos: object
    test: object
    classifier: object
    manifold: object
    samples: int

    def distance(self, generator, seed: int) -> dict[str, float]:
        """Frechet, KID and coverage of a few pictures: a point of the curve."""
        from components.generators.quality.distances import density_coverage, frechet, kernel_distance
        from components.generators.quality.quality_report import draw_samples

        made = self.classifier.features(draw_samples(generator, self.photos, CURVE_SAMPLES, seed).pictures)
        real = self.classifier.features(self.test.pictures)
        coverage = density_coverage(real[:CURVE_SAMPLES], made)[1]
        return {"frechet": frechet(real, made), "kid": kernel_distance(real, made), "coverage": coverage}

    def judge(self, generator, seed: int) -> dict[str, float]:
        """The whole quality report, CAS among it."""
        from components.generators.quality.quality_report import assess_generator

        quality = assess_generator(
            generator, self.photos, self.test, self.classifier, self.manifold, self.samples, seed
        )
        return quality.metrics()

    def real_photo_quality(self) -> dict[str, float]:
        """What real photos score."""
        from components.generators.quality.quality_report import real_photo_quality

        return real_photo_quality(self.photos, self.test, self.classifier, self.manifold).metrics()


def lay_out(samples: int, folder: Path) -> Course:
    """The course; its classifier is kept in `folder`, so that models raced one by one are judged by the same one."""
    from benchmarks.creatives.shelf import shelf
    from components.generators.keras_generator import network_bytes, network_from_bytes
    from components.generators.quality.photo_classifier import Classifier, train_classifier
    from components.generators.quality.photo_manifold import Manifold
    from components.generators.quality.quality_review import DIMENSIONS
    from components.images import PictureEncoder

    photos, test = shelf()
    kept = folder / CLASSIFIER
    if kept.exists():
        classifier = Classifier(network_from_bytes(kept.read_bytes()), photos.categories)
    else:
        classifier = train_classifier(photos)
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(network_bytes(classifier.network))
    manifold = Manifold.fit(photos.pictures, PictureEncoder.fit(photos.pictures, DIMENSIONS))
    return Course(photos, test, classifier, manifold, samples)
