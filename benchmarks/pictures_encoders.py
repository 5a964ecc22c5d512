"""Compares image encoders: principal components, and the encoder of a VAE.

    python -m benchmarks.pictures_encoders [--encoder FILE] [--workdir artifacts] [--copies 2000] [--skip-interest]

Near-duplicates: held-out photos are altered (a shift by one pixel, the mirror image, 10 % more and less light, JPEG of
quality 50, noise with a standard deviation of 5 grey levels). `found` is the fraction of copies whose nearest neighbour
among all 70,000 photos is their original. `auc` is the probability that a copy's distance to its original is below
another held-out photo's distance to its nearest neighbour; a threshold for near-duplicates depends on it.

Interest: log loss of the logistic model on the evaluation days of a finished run of marketplace, with features built
without image embeddings and with embeddings by each encoder; differences are by shopper, with 95 % intervals.

Without FILE, a VAE of the default settings is first trained on the 60,000 training photos. Prints one line of JSON at
the end.
"""

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from components.settings.environment import prepare

NOISE = 5.0  # grey levels
COMPONENTS = {"features": 16, "admission": 64}  # principal components that Adloom uses for each purpose


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", type=Path, help="an encoder.keras; without it, one is trained")
    parser.add_argument("--workdir", default="artifacts", help="folder of a finished run of marketplace")
    parser.add_argument("--copies", type=int, default=2000, help="held-out photos that are altered")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--skip-interest", action="store_true", help="measure near-duplicates only, which needs no finished run"
    )
    options = parser.parse_args()
    prepare()
    from benchmarks.creatives.shelf import shelf
    from components.images import NetworkEncoder

    photos, test = shelf()
    content = options.encoder.read_bytes() if options.encoder else train_encoder(photos, options.seed)
    network = NetworkEncoder.from_bytes(content)
    figures = {"dimensions": network.dimensions, "repeats": repeats(photos.pictures, test.pictures, network, options)}
    if not options.skip_interest:
        figures["interest"] = interest(network, options.workdir)
    print(json.dumps(figures, sort_keys=True))


def train_encoder(photos, seed: int) -> bytes:
    """The file of the encoder of a VAE trained with the default settings."""
    from components.generators.build_training import start_training
    from components.generators.generator_kinds import generator_settings
    from components.settings.sections import CreativesConfig

    config = generator_settings(CreativesConfig(), "vae").model_copy(update={"max_seconds": 1e6})
    training = start_training("vae", photos, config, seed)
    for record in training.run():
        if record.step % 100 == 0:
            print(f"step {record.step} of {config.steps}: {record.losses}", flush=True)
    return training.further()["encoder.keras"]


def alterations(pictures: np.ndarray, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (name, altered images) of images uint8 [n, 28, 28, 1]."""

    def whole(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def jpeg(picture: np.ndarray) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(picture[..., 0]).save(stream, format="JPEG", quality=50)
        return np.asarray(Image.open(stream))[..., None]

    yield "shift", np.roll(pictures, 1, axis=2)  # the photos' border is black
    yield "mirror", pictures[:, :, ::-1]
    yield "lighter", whole(pictures * 1.1)
    yield "darker", whole(pictures * 0.9)
    yield "jpeg", np.stack([jpeg(picture) for picture in pictures])
    yield "noise", whole(pictures + np.random.default_rng(seed).normal(0, NOISE, pictures.shape))


def repeats(training: np.ndarray, held_out: np.ndarray, network, options: argparse.Namespace) -> dict:
    """Encoder -> alteration -> `found` and `auc`; alteration `all` is over all of them."""
    from components.images import PictureEncoder, nearest

    lengths = sorted({network.dimensions, *COMPONENTS.values()})
    encoders = {f"components {length}": PictureEncoder.fit(training, length) for length in lengths}
    rows = np.sort(np.random.default_rng(options.seed).choice(len(held_out), options.copies, replace=False))
    photos, measured = np.concatenate([held_out, training]), {}
    for name, encoder in {**encoders, f"network {network.dimensions}": network}.items():
        embedded = encoder.embed(photos)
        to_neighbour = nearest(embedded[rows], embedded, 2)[1][:, 1]
        figures, all_distances = {}, []
        for alteration, altered in alterations(held_out[rows], options.seed):
            copies = encoder.embed(altered)
            to_original = np.linalg.norm(copies.astype(np.float64) - embedded[rows], axis=1)
            hit = nearest(copies, embedded)[0][:, 0] == rows
            figures[alteration] = {"found": float(hit.mean()), "auc": auc(to_original, to_neighbour)}
            all_distances.append(to_original)
        figures["all"] = {
            "found": float(np.mean([figure["found"] for figure in figures.values()])),
            "auc": auc(np.concatenate(all_distances), to_neighbour),
        }
        measured[name] = figures
        print(name, figures, flush=True)
    return measured


def auc(near: np.ndarray, far: np.ndarray) -> float:
    """The probability that a value of `near` is below one of `far`, ties counting half (Mann & Whitney 1947)."""
    order = np.sort(far)
    above = len(far) - (np.searchsorted(order, near, "left") + np.searchsorted(order, near, "right")) / 2
    return float(np.mean(above / len(far)))


def interest(network, workdir: str) -> dict:
    """Encoder -> log loss on later days, and its gain over no embeddings and over as many principal components."""
    from components.interest.metrics import mean_by_shopper
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths
    from components.workflow.stage_inputs import validated

    settings = load_settings("params.yaml", "marketplace")
    tables, card = validated(Paths.of("marketplace", workdir=workdir))
    config = settings.features
    wide = config.model_copy(update={"image_dimensions": network.dimensions})
    blind = {name: table for name, table in tables.items() if name != "images"}
    default, equal = f"components {config.image_dimensions}", f"components {network.dimensions}"
    cases = {
        "none": (blind, config, None),
        default: (tables, config, None),
        equal: (tables, wide, None),
        f"network {network.dimensions}": (tables, config, network),
    }
    losses, figures = {}, {}
    for name, (inputs, features, encoder) in cases.items():
        losses[name], shoppers = later_losses(inputs, features, card.ends_at, encoder, settings.interest)
        figures[name] = {"log_loss": float(losses[name].mean()), "impressions": len(shoppers)}
        for base in ("none", equal):
            if base in losses and base != name:
                gain = mean_by_shopper(losses[base] - losses[name], shoppers, settings.interest.bootstrap, 0)
                figures[name][f"gain over {base}"] = [gain.value, gain.ci_low, gain.ci_high]
        print(name, figures[name], flush=True)
    return figures


def later_losses(tables, config, ends_at, encoder, interest) -> tuple[np.ndarray, np.ndarray]:
    """(log loss in nats by the logistic model, shopper) of each evaluation impression, both [n]."""
    from components.features import build_features, fit_features
    from components.features.time_splits import JUDGE
    from components.interest import logged_pairs, train_interest
    from components.interest.metrics import log_losses

    model = fit_features(tables, config, ends_at, encoder)
    built = build_features(model, tables, config)
    trained = train_interest(built, interest.model_copy(update={"models": ("logistic",)}))
    pairs, click = logged_pairs(built, JUDGE)
    shoppers = pairs.impressions["shopper_id"].to_numpy()[pairs.row]
    return log_losses(trained.champion.probabilities(pairs), click), shoppers


if __name__ == "__main__":
    main()
