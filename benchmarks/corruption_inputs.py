"""The valid inputs that `benchmarks.corruptions` corrupts: a small data set, and files for `adloom evaluate`."""

from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from components.contract.card import write_card
from components.contract.files.tables import write_table
from components.datasets.marketplace import build_tables
from components.settings.sections import SimulatorConfig
from components.simulator import Photos

SIZE = SimulatorConfig(shoppers=60, campaigns=2, creatives_per_campaign=6, events=500, impressions=300, days=8)


def make_inputs(folder: Path) -> None:
    """Write a small data set to `folder`/shop, and a log, a target and actions to `folder`/evaluate."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    photos = Photos(tuple(f"photo-{row:02d}" for row in range(20)), pictures, np.arange(20) % 10, np.repeat([0, 1], 10))
    tables, card = build_tables(SIZE, photos)
    shop = folder / "shop"
    for name, table in tables.items():
        write_table(table, UPath(shop / f"{name}.parquet"))
    write_card(card.model_copy(update={"name": "shop", "simulator": None}), UPath(shop))
    _make_log(folder / "evaluate", random)


def _make_log(folder: Path, random: np.random.Generator, n: int = 300) -> None:
    folder.mkdir(parents=True)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    names = np.array([f"arm {code}" for code in range(4)], dtype=object)
    shown, ids = random.choice(4, n, p=shares), [f"i{row}" for row in range(n)]
    log = pd.DataFrame(
        {
            "impression_id": ids,
            "action": names[shown],
            "propensity": shares[shown],
            "reward": (random.random(n) < 0.2).astype(float),
            "timestamp": pd.date_range("2026-01-01", periods=n, freq="61s", tz="UTC"),
            "shopper_id": [f"s{row % 97}" for row in range(n)],
            "position": 1 + np.arange(n) % 3,
            "campaign": np.where(np.arange(n) % 2, "sale", "brand"),
            "context_hour": np.arange(n) % 24,
            "context_device": np.where(np.arange(n) % 3, "phone", "web"),
        }
    )
    target = pd.DataFrame(
        {
            "impression_id": np.repeat(ids, 4),
            "action": np.tile(names, n),
            "probability": np.tile([0.1, 0.2, 0.3, 0.4], n),
        }
    )
    actions = pd.DataFrame(
        {"action": names, "feature_size": [1.0, 2.0, 3.0, 4.0], "feature_tone": ["a", "b", "a", "b"]}
    )
    for name, frame in (("log", log), ("target", target), ("actions", actions)):
        frame.to_parquet(folder / f"{name}.parquet", write_page_checksum=True)
        frame.to_csv(folder / f"{name}.csv", index=False)
