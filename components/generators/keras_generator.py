"""A generator that is one network: noise, category, segment -> picture. Every family's sampler has this form."""

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

BLOCK = 256  # pictures per call; the last block is padded, so that one compiled shape serves all
NETWORK, CARD = "generator.keras", "generator.json"


@dataclass(frozen=True)
class NetworkGenerator:
    """See `Generator`. network: z (B, latent), category (B,), segment (B,), traits (B, 2) -> (B, H, W, C) in [-1, 1].

    A network without the last input takes no traits.
    """

    name: str
    network: keras.Model
    categories: tuple[str, ...]
    segments: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its pictures."""
        return tuple(self.network.output_shape[1:])

    @property
    def latent(self) -> int:
        """Length of the noise behind one picture."""
        return self.network.input_shape[0][1]

    def noise(self, count: int, seed: int) -> np.ndarray:
        """float32 [count, latent], standard normal; row i is the same for every `count` above i."""
        return np.random.default_rng(seed).standard_normal((count, self.latent), dtype=np.float32)

    def sample(
        self, category: np.ndarray, segment: np.ndarray, seed: int, traits: np.ndarray | None = None
    ) -> np.ndarray:
        """int [n], int [n], int [n, 2] -> uint8 [n, h, w, c]."""
        return self.paint(self.noise(len(category), seed), category, segment, traits)

    def paint(
        self, noise: np.ndarray, category: np.ndarray, segment: np.ndarray, traits: np.ndarray | None = None
    ) -> np.ndarray:
        """float32 [n, latent], int [n], int [n], int [n, 2] -> uint8 [n, h, w, c]: what these noises stand for."""
        self._check(category, segment)
        said = np.zeros((len(noise), TRAITS), np.int32) if traits is None else traits
        given = (noise, category, segment, said)[: len(self.network.inputs)]
        pictures = np.empty((len(noise), *self.shape), dtype=np.uint8)
        for start in range(0, len(noise), BLOCK):
            parts = [values[start : start + BLOCK] for values in given]
            count = len(parts[0])
            padded = [np.concatenate([part, np.repeat(part[:1], BLOCK - count, axis=0)]) for part in parts]
            painted = self._call(padded[0].astype(np.float32), *(codes.astype(np.int32) for codes in padded[1:]))
            pictures[start : start + count] = np.clip(np.rint((painted[:count] + 1.0) * 127.5), 0, 255)
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
        return {NETWORK: network_bytes(self.network), CARD: json.dumps(card, sort_keys=True).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "NetworkGenerator":
        """What `files` gave -> generator. Raises UserError where a file is missing or is something else."""
        try:
            card = json.loads(files[CARD])
            network = network_from_bytes(files[NETWORK])
            return cls(card["name"], network, tuple(card["categories"]), int(card["segments"]))
        except KeyError as error:
            raise UserError(f"a generator is {NETWORK} and {CARD} with its fields; {error} is missing") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{CARD} is not JSON: {error}") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{CARD} has a field of another kind: {error}") from None


def network_bytes(network: keras.Model) -> bytes:
    """A network as the bytes of a `.keras` file that holds no clock time."""
    with tempfile.TemporaryDirectory() as folder:  # Keras writes this format to paths alone
        path = Path(folder) / NETWORK
        network.save(path)
        return stable_keras(path.read_bytes())


def network_from_bytes(content: bytes) -> keras.Model:
    """Bytes of a `.keras` file -> network, in Keras's safe mode. Raises UserError where they are something else."""
    return load_network(content, {Midpoint.__name__: Midpoint})
