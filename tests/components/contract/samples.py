"""A small data set that keeps every rule of the contract, for tests to break one rule at a time."""

import io
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from PIL import Image

from components.contract.card import DatasetCard
from components.contract.schema import TABLES

BEGINS = datetime(2026, 3, 1, tzinfo=UTC)
ENDS = datetime(2026, 3, 29, tzinfo=UTC)
WINDOW_DAYS = 7

Tables = dict[str, pd.DataFrame]


def card(**changed: object) -> DatasetCard:
    fields = {
        "name": "sample",
        "source": "made for tests",
        "licence": "Apache-2.0",
        "real": (),
        "simulated": tuple(TABLES),
        "currency": "EUR",
        "conversion_window_days": WINDOW_DAYS,
        "ends_at": ENDS,
    }
    return DatasetCard(**{**fields, **changed})


def png(seed: int = 0, size: tuple[int, int] = (28, 28), mode: str = "L", kind: str = "PNG") -> bytes:
    """One picture of noise, [height, width] or with the channels of `mode`."""
    shape = (*size, *{"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    options = {"compress_level": 0} if kind == "PNG" else {}
    Image.fromarray(pixels, mode=mode).save(stream, format=kind, **options)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header declares width x height, with almost no pixels behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def sample(impressions: int = 200, offered: int = 4, events: int = 100, images: int = 12, seed: int = 0) -> Tables:
    """All eight tables with every rule kept: 2 campaigns of 12 creatives, `offered` candidates per impression."""
    rng = np.random.default_rng(seed)
    creatives = _creatives(images)
    logged, candidates = _log(rng, impressions, offered, creatives)
    return {
        "campaigns": _campaigns(),
        "creatives": creatives,
        "impressions": logged,
        "candidates": candidates,
        "products": _products(images),
        "images": _images(images),
        "events": _events(rng, events),
        "shoppers": pd.DataFrame(
            {
                "shopper_id": ids("s", 40),
                "consent": np.arange(40) % 10 != 0,
                "features_from": _known_from(40),
                "feature_age": np.arange(40) + 18.0,
            }
        ),
    }


def without(tables: Tables, *names: str) -> Tables:
    """`tables` less those in `names`, and less the columns' values that refer to them."""
    return {name: frame for name, frame in tables.items() if name not in names}


def planted(tables: Tables, table: str, column: str, value: object, row: int = 3) -> Tables:
    """A copy of `tables` with one cell changed; the column's type gives way where the value needs it."""
    frame = tables[table].copy()
    values = frame[column].astype(object)
    values.iloc[row] = value
    frame[column] = values.infer_objects() if not isinstance(value, bytes) else values
    return {**tables, table: frame}


def changed(tables: Tables, table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Tables:
    """A copy of `tables` with one table replaced by what `change` makes of it."""
    return {**tables, table: change(tables[table].copy())}


def ids(letter: str, n: int) -> pd.Series:
    return letter + pd.Series(np.arange(n)).astype(str)


def _nulls(n: int, dtype: str = "str") -> pd.Series:
    return pd.Series([None] * n, dtype=dtype)


def _never(n: int) -> pd.Series:
    return pd.Series([pd.NaT] * n, dtype="datetime64[us, UTC]")


def _known_from(n: int) -> pd.Series:
    """Null for most rows, the middle of the log for every third."""
    return pd.Series([BEGINS + (ENDS - BEGINS) / 2] * n).where(np.arange(n) % 3 == 0, pd.NaT)


def _times(n: int, rng: np.random.Generator) -> pd.Series:
    seconds = np.sort(rng.integers(0, int((ENDS - BEGINS) / timedelta(seconds=1)), n))
    return pd.Series(pd.Timestamp(BEGINS).as_unit("us") + pd.to_timedelta(seconds, unit="s").as_unit("us"))


def _campaigns() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "campaign": ["spring", "春季"],
            "advertiser_id": ["a0", "a0"],
            "objective": ["click", "revenue"],
            "starts_at": [BEGINS] * 2,
            "ends_at": [ENDS] * 2,
            "billing": ["cpm", "cpc"],
            "locale": ["en", "zh-CN"],
            "budget": [1000.0, np.nan],
            "bid": [0.5, 1.5],
            "frequency_cap": pd.array([10, None], "Int64"),
            "brand_color": ["#1a2b3c", None],
        }
    )


def _creatives(images: int) -> pd.DataFrame:
    n = 24
    return pd.DataFrame(
        {
            "creative_id": ids("c", n),
            "campaign": ["spring", "春季"] * (n // 2),
            "origin": "people",
            "active_from": pd.Series([BEGINS] * n).where(np.arange(n) % 2 == 0, pd.NaT),
            "active_until": pd.Series([ENDS] * n).where(np.arange(n) % 3 == 0, pd.NaT),
            "product_id": ids("p", n).where(np.arange(n) < images),
            "image_id": ids("i", n).where(np.arange(n) < images),
            "template": "plain",
            "headline": ["New shoes", "新款鞋子"] * (n // 2),
            "call_to_action": "Shop now",
            "palette": _nulls(n),
            "seed": pd.array([None] * n, "Int64"),
            "conditions": pd.Series(['{"segment": 1}'] * n, dtype="str").where(np.arange(n) % 4 == 0),
            "body": _nulls(n),
            "design": _nulls(n),
            "features_from": _known_from(n),
            "feature_contrast": np.linspace(0, 1, n),
        }
    )


def _log(rng: np.random.Generator, n: int, offered: int, creatives: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Impressions and their candidates: `offered` creatives of the campaign with random propensities summing to 1."""
    campaign = rng.integers(0, 2, n)
    first = rng.integers(0, 12, n)
    rank = (first[:, None] + np.arange(offered)) % 12  # [n, offered], of the campaign's 12
    candidate = rank * 2 + campaign[:, None]
    weights = rng.random((n, offered)) + 0.1
    propensity = weights / weights.sum(axis=1, keepdims=True)
    shown = rng.integers(0, offered, n)
    rows = np.arange(n)
    names = creatives["creative_id"].to_numpy(dtype=object)
    impressions = _impressions(rng, n)
    impressions = impressions.assign(
        campaign=creatives["campaign"].to_numpy(dtype=object)[campaign],
        creative_id=names[candidate[rows, shown]],
        propensity=propensity[rows, shown],
    )[
        [
            *(column.name for column in TABLES["impressions"].columns),
            "context_hour",
            "context_local_hour",
            "context_device",
        ]
    ]
    candidates = pd.DataFrame(
        {
            "impression_id": impressions["impression_id"].repeat(offered).reset_index(drop=True),
            "creative_id": names[candidate.ravel()],
            "propensity": propensity.ravel(),
        }
    )
    return impressions, candidates


def _impressions(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """What does not depend on the choice: the first rows alternate clicks, so that every rule has rows to look at."""
    at = _times(n, rng)
    click = np.where(np.arange(n) < 20, np.arange(n) % 2, rng.random(n) < 0.1).astype(np.int64)
    click[-2:] = 1
    over = at + pd.Timedelta(days=WINDOW_DAYS) <= ENDS
    converted = (click == 1) & over & (np.arange(n) % 3 == 0)
    conversion = pd.Series(converted.astype(np.int64), dtype="Int64").where((click == 0) | over)
    return pd.DataFrame(
        {
            "impression_id": ids("m", n),
            "timestamp": at,
            "shopper_id": "s" + pd.Series(rng.integers(0, 40, n)).astype(str),
            "position": rng.integers(1, 4, n),
            "logging_policy": "softmax-1",
            "click": click,
            "request_id": ids("r", n),
            "placement": "home",
            "experiment_id": _nulls(n),
            "variant": _nulls(n),
            "conversion": conversion,
            "conversion_timestamp": (at + pd.Timedelta(days=1)).where(converted),
            "revenue": np.where(converted, 25.0, 0.0),
            "cost": 0.01,
            "feedback": pd.Series(["like", None] * n, dtype="str")[:n],
            "keep_probability": _nulls(n, "float64"),
            "context_hour": at.dt.hour,
            "context_local_hour": (at.dt.hour + 8) % 24,
            "context_device": "phone",
        }
    )


def _products(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": ids("p", n),
            "category": "shoe",
            "title": "Red shoe 红鞋",
            "brand": "Aster",
            "description": _nulls(n),
            "price": np.linspace(5, 50, n),
            "image_id": ids("i", n),
            "features_from": _known_from(n),
            "feature_weight": np.arange(n) + 0.5,
        }
    )


def _images(n: int) -> pd.DataFrame:
    pictures = [png(seed) for seed in range(min(n, 64))]
    return pd.DataFrame(
        {
            "image_id": ids("i", n),
            "image": [pictures[at % len(pictures)] for at in range(n)],
            "category": "shoe",
            "split": pd.Series(["train", "test"] * n, dtype="str")[:n],
        }
    )


def _events(rng: np.random.Generator, n: int) -> pd.DataFrame:
    kind = pd.Series(np.array(["view", "search", "purchase"])[rng.integers(0, 3, n)])
    return pd.DataFrame(
        {
            "event_id": ids("e", n),
            "timestamp": _times(n, rng),
            "shopper_id": "s" + pd.Series(rng.integers(0, 40, n)).astype(str),
            "kind": kind,
            "product_id": ("p" + pd.Series(rng.integers(0, 12, n)).astype(str)).where(kind != "search"),
            "text": pd.Series(["red shoe"] * n, dtype="str").where(kind == "search"),
            "dwell_seconds": rng.random(n) * 60,
            "value": pd.Series(np.full(n, 20.0)).where(kind == "purchase"),
            "ingested_at": _never(n),
        }
    )
