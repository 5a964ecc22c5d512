"""Text -> pictures: read the wish, draw for it, and draw again what a classifier of real photos does not recognise."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.generators.generator_protocol import Generator
from components.generators.keras_generator import NetworkGenerator, network_bytes, network_from_bytes
from components.generators.photos.photo_attributes import ANY, Scales
from components.generators.photos.training_photos import Photos
from components.generators.quality.photo_classifier import Classifier
from components.generators.text_to_image.caption_parser import (
    READER,
    STEPS,
    Reader,
    Wish,
    read_right,
    train_reader,
)
from components.generators.text_to_image.captions import all_captions, split_captions
from components.generators.text_to_image.text_encoders import HASHED, Encoder
from components.settings.errors import UserError

CLASSIFIER, SCALES = "classifier.keras", "scales.json"
WORDS = "words"  # the folder of these and of the reader in a package of generators
MAX_ATTEMPTS = 32
SEEDS_APART = 1_000_003  # between the draws of a wish, so that the next seed a person asks for draws none of them again
SURE = 0.8  # probability of the category from which the classifier counts as agreeing
MET = 2 * SURE + 1 + 1  # category, tone and build: a wrong tone is better than a wrong thing


@dataclass(frozen=True)
class Granted:
    """pictures: uint8 [n, h, w, c]; attempts: int [n], draws that each took; met: bool [n], if the picture passed."""

    pictures: np.ndarray
    attempts: np.ndarray
    met: np.ndarray


@dataclass(frozen=True)
class TextToImage:
    """A reader, any generator, and the judge of what it draws.

    `classifier` must have been trained on real photos; `scales` say what counts as dark, light, slim and wide.
    """

    reader: Reader
    generator: Generator
    classifier: Classifier
    scales: Scales

    def draw(self, texts: Sequence[str], segment: np.ndarray, seed: int, max_attempts: int = MAX_ATTEMPTS) -> Granted:
        """Captions and int [n] segments -> pictures. Raises UserError where a caption is empty or not understood."""
        return self.grant([self.reader.read(text) for text in texts], segment, seed, max_attempts)

    def grant(self, wishes: Sequence[Wish], segment: np.ndarray, seed: int, max_attempts: int) -> Granted:
        """Wishes and int [n] segments -> pictures.

        Every wish is drawn once; those not met are drawn again, at most `max_attempts` times in all. What is never met
        keeps its best draw and `met` false.
        """
        category = np.array([wish.category for wish in wishes], dtype=np.int64)
        traits = np.array([(wish.tone, wish.build) for wish in wishes], dtype=np.int64)
        pictures = self.generator.sample(category, segment, seed, traits)
        shown, attempts = self.shows(pictures, wishes), np.ones(len(wishes), dtype=np.int64)
        for attempt in range(1, max_attempts):
            due = np.flatnonzero(shown < MET)
            if not due.size:
                break
            drawn = self.generator.sample(category[due], segment[due], seed + attempt * SEEDS_APART, traits[due])
            now = self.shows(drawn, [wishes[row] for row in due])
            better = now > shown[due]
            pictures[due[better]], shown[due[better]] = drawn[better], now[better]
            attempts[due] += 1
        return Granted(pictures, attempts, shown >= MET)

    def shows(self, pictures: np.ndarray, wishes: Sequence[Wish]) -> np.ndarray:
        """uint8 [n, h, w, c] and n wishes -> float64 [n] in [0, 4]: how much of its wish each shows, met at MET.

        One for the tone and one for the build, as measured, and twice the category's probability by the classifier.
        """
        category = np.array([wish.category for wish in wishes])
        tone, build = self.scales.codes(pictures, category)
        shown = 2.0 * self.classifier.probabilities(pictures)[np.arange(len(pictures)), category].astype(float)
        for measured, asked in ((tone, [w.tone for w in wishes]), (build, [w.build for w in wishes])):
            shown += (np.array(asked) == ANY) | (measured == np.array(asked))
        return shown

    def files(self) -> dict[str, bytes]:
        """The generator's files, and those of the words beside them."""
        return {**self.generator.files(), **self.words()}

    def words(self) -> dict[str, bytes]:
        """The reader, the classifier and the scales as files: all but the generator."""
        scales = {"tone": self.scales.tone.tolist(), "build": self.scales.build.tolist()}
        return {
            **self.reader.files(),
            CLASSIFIER: network_bytes(self.classifier.network),
            SCALES: json.dumps(scales, sort_keys=True).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "TextToImage":
        """What `files` gave -> the same. Raises UserError where a file is missing or is something else."""
        generator = NetworkGenerator.from_files(files)
        try:
            scales = json.loads(files[SCALES])
            reader = Reader.from_files(files, generator.categories)
            classifier = Classifier(network_from_bytes(files[CLASSIFIER]), generator.categories)
            return cls(reader, generator, classifier, Scales(np.array(scales["tone"]), np.array(scales["build"])))
        except KeyError as error:
            raise UserError(f"text to image needs {READER}, {CLASSIFIER} and {SCALES}; {error} is missing") from None


def literacy(maker: TextToImage, seed: int) -> str:
    """In words: how many of the wordings that `teach` held out, with this seed, are read right in every part."""
    _, held_out = split_captions(all_captions(maker.reader.categories), seed)
    shares = [f"{share:.2f} of the {name}" for name, share in read_right(maker.reader, held_out).items()]
    return f"captions never seen that are read right: {', '.join(shares)}"


def teach(
    generator: Generator,
    photos: Photos,
    classifier: Classifier,
    seed: int,
    steps: int = STEPS,
    encoder: Encoder = HASHED,
) -> TextToImage:
    """A generator and photos that it was made for -> one that takes captions, which are learned in `steps` steps."""
    reader, _ = train_reader(photos.categories, seed, steps, encoder)
    return TextToImage(reader, generator, classifier, photos.scales)
