"""One normal distribution per category, as a network that transforms standard normal noise to it."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops


@dataclass(frozen=True)
class CategoryGaussians:
    """point = centre + root @ noise. centre: float32 [categories, d]; root: float32 [categories, d, d], lower."""

    centre: np.ndarray
    root: np.ndarray

    @classmethod
    def fit(cls, points: np.ndarray, category: np.ndarray, categories: int, extra: np.ndarray | None = None):
        """Mean and covariance of each category of points float [n, d] with categories int [n].

        extra: float [n, d], variances of each point. A category's covariance is shrunk towards that of all points with
        the weight of d points (Friedman 1989), so that twenty photos suffice.
        """
        points, size = points.astype(np.float64), points.shape[1]
        groups = [category == code for code in range(categories)]
        centre = np.stack([points[group].mean(axis=0) for group in groups])
        inner = points - centre[category]
        added = np.zeros(size) if extra is None else extra.mean(axis=0, dtype=np.float64)
        pooled = inner.T @ inner / len(inner) + np.diag(added + 1e-6)
        roots = []
        for group in groups:
            scatter = inner[group].T @ inner[group]
            if extra is not None:
                scatter = scatter + np.diag(extra[group].sum(axis=0, dtype=np.float64))
            roots.append(np.linalg.cholesky((scatter + size * pooled) / (group.sum() + size)))
        # rounded, since matrix products differ in their last digits between runs
        return cls(np.round(centre, 4).astype(np.float32), np.round(np.stack(roots), 4).astype(np.float32))

    def network(self) -> keras.Model:
        """A network from noise (B, d) and category int32 (B,) to points (B, d), in float32."""
        categories, size = self.centre.shape
        noise, category = keras.Input((size,)), keras.Input((), dtype="int32")
        chosen = ops.one_hot(category, categories)  # (B, categories)
        centre = layers.Dense(size, use_bias=False, trainable=False, dtype="float32", name="centre")
        root = layers.Dense(size * size, use_bias=False, trainable=False, dtype="float32", name="root")
        roots = layers.Reshape((size, size), dtype="float32")(root(chosen))
        turned = layers.Dot(axes=(2, 1), dtype="float32")([roots, noise])  # (B, d)
        placed = layers.Add(dtype="float32")([centre(chosen), turned])
        placing = keras.Model([noise, category], placed, name="normals")
        centre.set_weights([self.centre])
        root.set_weights([self.root.reshape(categories, -1)])
        return placing
