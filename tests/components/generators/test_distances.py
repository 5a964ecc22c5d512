import numpy as np
import pytest
from scipy.linalg import sqrtm

from components.generators.quality.distances import (
    density_coverage,
    frechet,
    kernel_distance,
    precision_recall,
    relative_spread,
    spread,
)


@pytest.fixture(scope="module")
def real():
    return np.random.default_rng(0).normal(size=(800, 4))


def test_frechet_of_known_normals(real):
    shifted = real + np.array([3.0, 0, 0, 0])
    assert frechet(real, real) == pytest.approx(0, abs=1e-9)
    assert frechet(real, shifted) == pytest.approx(9.0, rel=1e-6)
    assert frechet(real, 2 * real) == pytest.approx(
        np.trace(np.cov(real, rowvar=False)) + (real.mean(axis=0) ** 2).sum(), rel=1e-6
    )


def test_frechet_agrees_with_the_matrix_square_root(real):
    other = np.random.default_rng(1).normal(size=(500, 4)) @ np.diag([1, 2, 0.5, 3]) + 0.3
    one, two = np.cov(real, rowvar=False), np.cov(other, rowvar=False)
    gap = real.mean(axis=0) - other.mean(axis=0)
    direct = gap @ gap + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert frechet(real, other) == pytest.approx(direct, rel=1e-6)


def test_kernel_distance_is_near_zero_for_equal_laws_and_grows(real):
    same = np.random.default_rng(2).normal(size=(800, 4))
    assert abs(kernel_distance(real, same)) < 0.1
    assert kernel_distance(real, same + 2.0) > 1.0


def test_precision_and_recall_tell_quality_from_variety(real):
    random = np.random.default_rng(3)
    collapsed = np.full((400, 4), 0.1) + random.normal(0, 0.01, (400, 4))
    precision, recall = precision_recall(real, collapsed)
    assert precision > 0.9 and recall < 0.1
    precision, recall = precision_recall(real, random.normal(0, 6, (400, 4)))
    assert precision < 0.4 and recall > 0.9


def test_density_and_coverage_of_equal_laws_and_of_a_collapse(real):
    same = np.random.default_rng(4).normal(size=(800, 4))
    density, coverage = density_coverage(real, same)
    assert density == pytest.approx(1.0, abs=0.1) and coverage > 0.9
    assert density_coverage(real, same * 0 + 0.1)[1] < 0.1


def test_spread_is_the_mean_distance_within_a_group():
    line = np.array([[0.0], [2.0], [10.0], [16.0]])
    assert spread(line, np.array([0, 0, 1, 1])).tolist() == [2.0, 6.0]


def test_a_group_of_one_or_two_tells_no_collapse(real):
    groups = np.r_[np.zeros(500, int), np.ones(300, int)]
    made = np.r_[np.zeros(398, int), np.ones(400, int), 2, 2]
    truly = relative_spread(real[:798], made[:798], real, groups)
    assert relative_spread(real, made, real, np.r_[groups[:-30], np.full(30, 2)]) == pytest.approx(truly, rel=0.02)
    one = np.full((800, 4), 0.5)
    one[400:] = real[400:]
    collapsed = relative_spread(one, np.arange(800) // 400, real, np.arange(800) // 400)
    assert collapsed == 0.0
    # where no group has many, those there are have to do
    assert relative_spread(real[:6], np.arange(6) % 2, real[:6], np.arange(6) % 2) == 1.0
