"""Photos of another size and in colour go through the same stages with no change of code or settings."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from upath import UPath

from components.contract.files.tables import files_in
from components.generators.keras_generator import NetworkGenerator
from components.images import decode, encode_png
from components.settings.params_file import load_settings
from components.settings.paths import STAGES, Paths
from components.workflow import run_stage
from tests.conftest import Shop

pytestmark = pytest.mark.slow
TINTS = ((1.0, 0.8, 0.6), (0.5, 0.9, 1.0), (0.9, 0.5, 0.8))


def large_and_coloured(content: bytes, number: int) -> bytes:
    """A 28x28 grey PNG -> the same article, 64x64 in one of three tints."""
    grey = Image.fromarray(decode(content)[..., 0]).resize((64, 64), Image.Resampling.BICUBIC)
    bands = [grey.point([int(level * part) for level in range(256)]) for part in TINTS[number % 3]]
    return encode_png(np.asarray(Image.merge("RGB", bands)))


@pytest.fixture
def coloured_shop(built_shop, tmp_path, monkeypatch) -> Shop:
    """The small shop with every photo enlarged and tinted."""
    shutil.copytree(built_shop.folder, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    shop = Shop(tmp_path / "shop")
    table = shop.data / "images.parquet"
    images = pd.read_parquet(table)
    made = [large_and_coloured(content, number) for number, content in enumerate(images["image"])]
    images.assign(image=made).to_parquet(table)
    card = yaml.safe_load((shop.data / "dataset.yaml").read_text())
    del card["simulator"]  # its law knows the 28x28 photos alone; a shop's own data have none
    (shop.data / "dataset.yaml").write_text(yaml.safe_dump(card))
    return shop


def test_every_family_learns_64x64_photos_in_colour_and_a_pool_that_stays_empty_stops_nothing(coloured_shop):
    flow = "creatives.flow={steps: 4, max_seconds: 60.0, batch_size: 16, latent: 8}"
    passing = ("creatives.min_cas=0.0", "creatives.min_category_match=0.0", "creatives.min_diversity=0.0")
    chosen = ("ads.pictures=generated", "creatives.generators=[vae, wgan, flow]", flow, *passing)
    settings, paths = load_settings("params.yaml", "marketplace", chosen), Paths.of("marketplace")
    for name in STAGES:
        assert run_stage.run(name, settings, paths)
    folder = UPath("artifacts/marketplace/creatives")
    record = json.loads((folder / "metrics.json").read_text())
    assert sorted(name.partition("-")[0] for name in record["quality"]) == ["flow", "vae", "wgan"]
    for name in record["quality"]:
        generator = NetworkGenerator.from_files(files_in(folder / "model" / name))
        assert generator.sample(np.array([0]), np.array([0]), 1).shape == (1, 64, 64, 3)
    # so little training makes pictures that look like no photo: none is admitted, and the run says so
    assert record["pool"] == 0 and not (folder / "pool").exists()
    (pool,) = [remark for remark in record["remarks"] if remark.startswith("pool: of 24 candidate ads, not admitted: ")]
    assert "does not look like a product photo" in pool and pool.endswith("; the pool stays empty")
