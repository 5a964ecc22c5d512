import numpy as np
import pytest

from components.ads.admission import Standards, admit
from components.generators.photos.training_photos import Photos
from components.generators.quality import photo_manifold
from components.generators.quality.photo_manifold import PHOTOS_PER_COMPONENT, Bounds, Manifold
from components.generators.quality.quality_review import DIMENSIONS, review
from components.images import PictureEncoder
from components.settings.sections import CreativesConfig
from tests.components.ads.candidates import pictured
from tests.components.generators.test_quality_review import Fresh


def parted(few_photos) -> tuple[np.ndarray, np.ndarray]:
    """Real photos, shuffled -> those that bounds learn from, and the rest."""
    order = np.random.default_rng(0).permutation(len(few_photos.pictures))
    pictures = few_photos.pictures[order]
    pictures = pictures[..., None] if pictures.ndim == 3 else pictures
    return pictures[:500], pictures[500:]


@pytest.mark.parametrize("count", [60, 200, 500])
def test_few_photos_give_bounds_that_other_photos_lie_within(few_photos, count):
    seen, others = parted(few_photos)
    bounds = Bounds.fit(seen[:count], PictureEncoder.fit(seen[:count], DIMENSIONS))
    assert (bounds.excess(others) > 0).mean() < 0.15
    noise = np.random.default_rng(1).integers(0, 256, (50, *others.shape[1:]), dtype=np.uint8)
    assert (bounds.excess(noise) > 0).all()


def test_many_photos_need_no_folds(few_photos, monkeypatch):
    seen, others = parted(few_photos)
    encoder = PictureEncoder.fit(seen, len(seen) // PHOTOS_PER_COMPONENT)
    plain = Bounds.fit(seen, encoder)
    monkeypatch.setattr(
        photo_manifold, "PHOTOS_PER_COMPONENT", PHOTOS_PER_COMPONENT + 1
    )  # one photo per component more than there are
    folded = Bounds.fit(seen, encoder)
    np.testing.assert_allclose(folded.low, plain.low, atol=0.1)
    np.testing.assert_allclose(folded.high, plain.high, atol=0.1)
    assert abs((plain.excess(others) > 0).mean() - (folded.excess(others) > 0).mean()) < 0.02


def test_photos_listed_twice_are_copied_no_less(few_photos):
    seen, others = parted(few_photos)
    once, twice = (Manifold.fit(each, PictureEncoder.fit(seen, 32)) for each in (seen, np.concatenate([seen, seen])))
    assert twice.copies(seen).all() and twice.duplicate_spacing == once.duplicate_spacing > 0
    assert np.array_equal(twice.copies(others), once.copies(others))
    assert twice.near_duplicates(np.concatenate([others[:20], others[:20]]), 0.5)[20:].all()


def test_a_photo_saved_anew_is_no_neighbour_of_its_own(few_photos):
    seen, _ = parted(few_photos)
    anew = seen[:125].copy()
    anew[:, 14, 14] ^= 1  # one grey level of one pixel
    assert Manifold.fit(np.concatenate([seen, anew]), PictureEncoder.fit(seen, 32)).copies(seen).all()


def test_without_a_test_split_no_photo_that_taught_is_admitted(photos):
    judged = review({"fresh-1": Fresh(photos)}, photos, None, CreativesConfig(quality_samples=300))
    assert set(admit(pictured(photos.pictures), Standards(judged.manifold))) <= {"copies a product photo"}
    assert judged.real_photos.memorised < 0.5  # while what is judged by is not what was held out


def test_twenty_photos_are_enough_to_be_judged_by(photos):
    few = Photos(photos.pictures[:63:3], photos.category[:63:3], ("top",), photos.segment_weights[:63:3])
    generator = Fresh(photos)
    judged = review({"fresh-1": generator}, few, None, CreativesConfig(quality_samples=60))
    assert np.isfinite(judged.real_photos.frechet) and np.isfinite(judged.quality["fresh-1"].frechet)
