import keras
import numpy as np

from components.generators.families.class_gaussians import CategoryGaussians


def test_each_category_gets_its_own_mean_and_covariance():
    random = np.random.default_rng(0)
    category = np.arange(40_000) % 2
    mixing = np.stack([[[1.0, 0.0], [0.8, 0.6]], [[0.5, 0.0], [0.0, 2.0]]])
    points = np.einsum("nij,nj->ni", mixing[category], random.standard_normal((40_000, 2))) + 3.0 * category[:, None]
    normals = CategoryGaussians.fit(points, category, 2)
    np.testing.assert_allclose(normals.centre, [[0, 0], [3, 3]], atol=0.05)
    np.testing.assert_allclose(
        normals.root @ normals.root.transpose(0, 2, 1), mixing @ mixing.transpose(0, 2, 1), atol=0.06
    )


def test_three_points_in_ten_dimensions_lean_on_the_others():
    random = np.random.default_rng(0)
    category = np.r_[np.zeros(500, int), np.ones(3, int)]
    normals = CategoryGaussians.fit(random.standard_normal((503, 10)), category, 2)
    spread = np.linalg.eigvalsh(normals.root[1] @ normals.root[1].T)
    assert spread.min() > 0.3 and spread.max() < 3.0


def test_the_network_places_noise_there():
    normals = CategoryGaussians.fit(np.random.default_rng(1).standard_normal((90, 4)), np.arange(90) % 3, 3)
    noise, category = np.random.default_rng(2).standard_normal((5, 4)).astype(np.float32), np.array([0, 1, 2, 1, 0])
    placed = normals.network()([keras.ops.convert_to_tensor(noise), keras.ops.convert_to_tensor(category)])
    due = normals.centre[category] + np.einsum("nij,nj->ni", normals.root[category], noise)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(placed), due, atol=1e-5)
