"""Text to image: parse a caption, sample images for it, and sample again those that a classifier does not accept."""

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
    PARSER_FILE,
    STEPS,
    CaptionParser,
    ParsedCaption,
    parsing_accuracy,
    train_parser,
)
from components.generators.text_to_image.captions import all_captions, split_captions
from components.generators.text_to_image.text_encoders import HASHED, TextEncoder
from components.settings.errors import UserError

CLASSIFIER, SCALES = "classifier.keras", "scales.json"
CAPTIONS_FOLDER = "words"  # folder of these and of the parser in a package of generators
MAX_ATTEMPTS = 32
SEEDS_APART = (
    1_000_003  # between the draws of a parsed, so that the next seed a person asks for draws none of them again
)
MIN_PROBABILITY = 0.8  # of the category by the classifier, for an accepted image
MIN_AGREEMENT = 2 * MIN_PROBABILITY + 1 + 1  # category, tone and build; the category counts twice


@dataclass(frozen=True)
class SampleResult:
    """pictures: uint8 [n, h, w, c]; attempts: int [n], draws of each; accepted: bool [n], if it shows its caption."""

    pictures: np.ndarray
    attempts: np.ndarray
    accepted: np.ndarray


@dataclass(frozen=True)
class TextToImage:
    """A caption parser, any generator, and a classifier that accepts or rejects its images.

    classifier: trained on real photos; scales: limits for dark, light, slim and wide.
    """

    parser: CaptionParser
    generator: Generator
    classifier: Classifier
    scales: Scales

    def draw(
        self, texts: Sequence[str], segment: np.ndarray, seed: int, max_attempts: int = MAX_ATTEMPTS
    ) -> SampleResult:
        """Images for captions and segments int [n]; UserError for a caption that is empty or not understood."""
        return self.sample_until_accepted([self.parser.parse(text) for text in texts], segment, seed, max_attempts)

    def sample_until_accepted(
        self, parsed_captions: Sequence[ParsedCaption], segment: np.ndarray, seed: int, max_attempts: int
    ) -> SampleResult:
        """Images for n parsed captions and segments int [n], sampled until accepted, at most `max_attempts` times.

        A caption whose images are never accepted gets the best one, with `accepted` false.
        """
        category = np.array([parsed.category for parsed in parsed_captions], dtype=np.int64)
        traits = np.array([(parsed.tone, parsed.build) for parsed in parsed_captions], dtype=np.int64)
        pictures = self.generator.sample(category, segment, seed, traits)
        shown, attempts = self.agreement(pictures, parsed_captions), np.ones(len(parsed_captions), dtype=np.int64)
        for attempt in range(1, max_attempts):
            rejected = np.flatnonzero(shown < MIN_AGREEMENT)
            if not rejected.size:
                break
            step = attempt * SEEDS_APART
            drawn = self.generator.sample(category[rejected], segment[rejected], seed + step, traits[rejected])
            now = self.agreement(drawn, [parsed_captions[row] for row in rejected])
            better = now > shown[rejected]
            pictures[rejected[better]], shown[rejected[better]] = drawn[better], now[better]
            attempts[rejected] += 1
        return SampleResult(pictures, attempts, shown >= MIN_AGREEMENT)

    def agreement(self, pictures: np.ndarray, parsed_captions: Sequence[ParsedCaption]) -> np.ndarray:
        """float64 [n] in [0, 4], how much images uint8 [n, h, w, c] agree with their captions; accepted: MIN_AGREEMENT.

        One each for the measured tone and build, and twice the category's probability by the classifier.
        """
        category = np.array([parsed.category for parsed in parsed_captions])
        tone, build = self.scales.codes(pictures, category)
        shown = 2.0 * self.classifier.probabilities(pictures)[np.arange(len(pictures)), category].astype(float)
        for measured, asked in ((tone, [w.tone for w in parsed_captions]), (build, [w.build for w in parsed_captions])):
            shown += (np.array(asked) == ANY) | (measured == np.array(asked))
        return shown

    def files(self) -> dict[str, bytes]:
        """File name -> bytes: the generator's files and those for captions."""
        return {**self.generator.files(), **self.caption_files()}

    def caption_files(self) -> dict[str, bytes]:
        """File name -> bytes of the parser, the classifier and the scales."""
        scales = {"tone": self.scales.tone.tolist(), "build": self.scales.build.tolist()}
        return {
            **self.parser.files(),
            CLASSIFIER: network_bytes(self.classifier.network),
            SCALES: json.dumps(scales, sort_keys=True).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "TextToImage":
        """The object that `files` wrote; UserError if a file is missing or has other content."""
        generator = NetworkGenerator.from_files(files)
        try:
            scales = json.loads(files[SCALES])
            parser = CaptionParser.from_files(files, generator.categories)
            classifier = Classifier(network_from_bytes(files[CLASSIFIER]), generator.categories)
            return cls(parser, generator, classifier, Scales(np.array(scales["tone"]), np.array(scales["build"])))
        except KeyError as error:
            raise UserError(
                f"text to image needs {PARSER_FILE}, {CLASSIFIER} and {SCALES}; {error} is missing"
            ) from None


def parsing_report(maker: TextToImage, seed: int) -> str:
    """A sentence with the parsing accuracy on the captions that `train_text_to_image` held out with this seed."""
    _, held_out = split_captions(all_captions(maker.parser.categories), seed)
    shares = [f"{share:.2f} of the {name}" for name, share in parsing_accuracy(maker.parser, held_out).items()]
    return f"captions never seen that are read right: {', '.join(shares)}"


def train_text_to_image(
    generator: Generator,
    photos: Photos,
    classifier: Classifier,
    seed: int,
    *,
    steps: int = STEPS,
    encoder: TextEncoder = HASHED,
) -> TextToImage:
    """Text to image with `generator`, made for `photos`; its caption parser is trained for `steps` steps."""
    parser, _ = train_parser(photos.categories, seed, steps, encoder)
    return TextToImage(parser, generator, classifier, photos.scales)
