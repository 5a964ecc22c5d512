"""Builds the folder, settings and first days of a simulated shop so small that a night takes about a minute."""

from pathlib import Path

import numpy as np
import yaml
from upath import UPath

from components.settings.paths import ROOT

NAME = "marketplace"
SCENARIO = Path(__file__).with_name("strong.yaml")
SMALL = {
    "simulator": {
        "scenario": str(SCENARIO),
        "shoppers": 2_000,
        "campaigns": 3,
        "creatives_per_campaign": 16,
        "events": 15_000,
        "impressions": 30_000,
        "days": 14,
    },
    "interest": {"models": ["logistic"], "bootstrap": 20},
    # tiny generators, since they are trained each night; their gate refuses them
    "creatives": {
        "generators": ["vae"],
        "restarts": 0,
        "vae": {"steps": 5, "max_seconds": 60.0, "batch_size": 32, "latent": 4},
        "quality_photos": 200,
        "quality_samples": 50,
        "pool_per_campaign": 2,
    },
    "evaluation": {"bootstrap": 100, "clones": 2, "clone_impressions": 2_000, "reward_models": []},
}
PHOTOS_PER_CATEGORY = {0: 100, 1: 30}  # train, test


def build(folder: Path, seed: int) -> None:
    """Write `folder/params.yaml` and the data set `folder/data/marketplace`, simulated with `seed`."""
    from components.datasets.dataset_files import write_dataset
    from components.datasets.marketplace import build_tables
    from components.settings.params_file import load_settings

    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    del document["datasets"]
    sections = {name: {**document[name], **values} for name, values in SMALL.items()}
    sections["simulator"] = {**sections["simulator"], "seed": seed}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({**document, **sections}), encoding="utf-8")
    tables, card = build_tables(load_settings(folder / "params.yaml", NAME).simulator, _few_photos())
    write_dataset(tables, card, UPath(folder / "data" / NAME))


def _few_photos():
    from components.datasets.fashion_mnist import load_photos
    from components.simulator import Photos

    photos = load_photos(cache=ROOT / ".adloom" / "cache")
    rows = [
        np.flatnonzero((photos.split == split) & (photos.category == category))[:count]
        for split, count in PHOTOS_PER_CATEGORY.items()
        for category in np.unique(photos.category)
    ]
    selected = np.concatenate(rows)
    ids = tuple(photos.ids[row] for row in selected)
    return Photos(ids, photos.pictures[selected], photos.category[selected], photos.split[selected])
