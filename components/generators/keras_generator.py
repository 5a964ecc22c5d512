"""A generator that is one Keras network from noise, category and segment to an image, as every family's sampler."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from components.contract.files.deterministic_archives import stable_keras
from components.generators.families.ode_sampler import Midpoint
from components.generators.photos.photo_attributes import TRAITS
from components.generators.training.gradient_step import compile_call
from components.images.network_encoder import load_network
from components.settings.errors import UserError

BLOCK = 256  # images per call; the last block is padded, so that one compiled shape suffices
GENERATOR_FILE, GENERATOR_CARD = "generator.keras", "generator.json"


@dataclass(frozen=True)
class NetworkGenerator:
    """See `Generator`. network: z (B, latent), category (B,), segment (B,), traits (B, 2) -> (B, H, W, C) in [-1, 1].

    A network without the last input is not conditioned on traits.
    """

    name: str
    network: keras.Model
    categories: tuple[str, ...]
    segments: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its images."""
        return tuple(self.network.output_shape[1:])

    @property
    def latent(self) -> int:
        """Length of the noise of one image."""
        return self.network.input_shape[0][1]

    def noise(self, count: int, seed: int) -> np.ndarray:
        """float32 [count, latent], standard normal; row i does not depend on `count`."""
        return np.random.default_rng(seed).standard_normal((count, self.latent), dtype=np.float32)

    def sample(
        self, category: np.ndarray, segment: np.ndarray, seed: int, traits: np.ndarray | None = None
    ) -> np.ndarray:
        """Images uint8 [n, h, w, c] for category and segment int [n] and traits int [n, 2]; see `Generator.sample`."""
        return self.from_noise(self.noise(len(category), seed), category, segment, traits)

    def from_noise(
        self, noise: np.ndarray, category: np.ndarray, segment: np.ndarray, traits: np.ndarray | None = None
    ) -> np.ndarray:
        """Images uint8 [n, h, w, c] of noise float32 [n, latent], category, segment int [n] and traits int [n, 2]."""
        self._check(category, segment)
        codes = np.zeros((len(noise), TRAITS), np.int32) if traits is None else traits
        inputs = (noise, category, segment, codes)[: len(self.network.inputs)]
        pictures = np.empty((len(noise), *self.shape), dtype=np.uint8)
        for start in range(0, len(noise), BLOCK):
            parts = [values[start : start + BLOCK] for values in inputs]
            count = len(parts[0])
            padded = [np.concatenate([part, np.repeat(part[:1], BLOCK - count, axis=0)]) for part in parts]
            outputs = self._call(padded[0].astype(np.float32), *(codes.astype(np.int32) for codes in padded[1:]))
            pictures[start : start + count] = np.clip(np.rint((outputs[:count] + 1.0) * 127.5), 0, 255)
        return pictures

    @cached_property
    def _call(self):
        return compile_call(lambda *inputs: self.network(list(inputs), training=False), (self.network,))

    def _check(self, category: np.ndarray, segment: np.ndarray) -> None:
        for label, codes, limit in (
            ("category", category, len(self.categories)),
            ("segment", segment, self.segments + 1),
        ):
            wrong = np.unique(codes[(codes < 0) | (codes >= limit)])
            if wrong.size:
                raise UserError(f"{self.name}: {label} codes run from 0 to {limit - 1}, got {wrong[:5].tolist()}")

    def files(self) -> dict[str, bytes]:
        """The network in Keras's own format and a JSON card."""
        card = {"name": self.name, "categories": list(self.categories), "segments": self.segments}
        return {GENERATOR_FILE: network_bytes(self.network), GENERATOR_CARD: json.dumps(card, sort_keys=True).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "NetworkGenerator":
        """The generator that `files` wrote; UserError if a file is missing or has other content."""
        try:
            card = json.loads(files[GENERATOR_CARD])
            network = network_from_bytes(files[GENERATOR_FILE])
            return cls(card["name"], network, tuple(card["categories"]), int(card["segments"]))
        except KeyError as error:
            raise UserError(
                f"a generator is {GENERATOR_FILE} and {GENERATOR_CARD} with its fields; {error} is missing"
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{GENERATOR_CARD} is not JSON: {error}") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{GENERATOR_CARD} has a field of another kind: {error}") from None


def network_bytes(network: keras.Model) -> bytes:
    """A network as the bytes of a `.keras` file, without times."""
    with tempfile.TemporaryDirectory() as folder:  # Keras writes this format only to paths
        path = Path(folder) / GENERATOR_FILE
        network.save(path)
        return stable_keras(path.read_bytes())


def network_from_bytes(content: bytes) -> keras.Model:
    """The network in the bytes of a `.keras` file, loaded in Keras's safe mode; UserError for other bytes."""
    return load_network(content, {Midpoint.__name__: Midpoint})
