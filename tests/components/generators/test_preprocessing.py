"""Denoising and augmentation, by hand."""

import numpy as np

from components.generators.photos.preprocessing import augment, denoise
from components.generators.photos.training_photos import Photos

PICTURES = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 1)
PHOTOS = Photos(PICTURES, np.array([0, 1], np.int32), ("hat", "sock"), np.array([[1, 0], [0, 1]], np.float32))


def test_a_speck_goes_and_an_edge_stays():
    picture = np.zeros((1, 6, 6, 3), np.uint8)
    picture[:, :, 3:] = 200
    clean = picture.copy()
    picture[0, 2, 1, 0] = 255
    photos = Photos(picture, np.zeros(1, np.int32), ("hat",), np.ones((1, 1), np.float32))
    assert np.array_equal(denoise(photos, 3).pictures, clean)
    assert denoise(photos, 0) is photos


def test_the_photos_come_first_and_every_version_keeps_its_photos_conditions():
    more = augment(PHOTOS, ("mirror", "shift"))
    assert len(more.category) == 2 * (1 + 1 + 4)
    assert np.array_equal(more.pictures[:2], PICTURES)
    assert more.category.tolist() == [0, 1] * 6
    assert np.array_equal(more.segment_weights, np.tile(PHOTOS.segment_weights, (6, 1)))
    assert np.array_equal(more.pictures[2:4], PICTURES[:, :, ::-1])


def test_shifts_go_one_pixel_each_way_and_repeat_the_border():
    shifted = np.split(augment(PHOTOS, ("shift",)).pictures[2:], 4)
    assert sorted(each[0, :, :, 0].tolist() for each in shifted) == [
        [[0, 0, 1], [3, 3, 4], [6, 6, 7]],  # right
        [[0, 1, 2], [0, 1, 2], [3, 4, 5]],  # down
        [[1, 2, 2], [4, 5, 5], [7, 8, 8]],  # left
        [[3, 4, 5], [6, 7, 8], [6, 7, 8]],  # up
    ]


def test_without_ways_nothing_is_added():
    assert np.array_equal(augment(PHOTOS, ()).pictures, PICTURES)
