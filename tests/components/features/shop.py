"""A small shop with every table of the contract, drawn from a seed: what the features and interest tests run on."""

import numpy as np
import pandas as pd

from components.images import encode_png

START = pd.Timestamp("2026-03-01", tz="UTC")
DAYS = 20
CATEGORIES = ("Bag", "Dress", "Shirt", "Sneaker")
NOUNS = {"Bag": "bag 包", "Dress": "dress 连衣裙", "Shirt": "shirt 衬衫", "Sneaker": "sneaker 运动鞋"}


def times(rng: np.random.Generator, count: int) -> pd.Series:
    """Times in whole minutes, so that some events and impressions fall on the same instant."""
    minutes = pd.to_timedelta(rng.integers(0, DAYS * 1440, count), unit="min")
    return pd.Series(START + minutes).astype("datetime64[us, UTC]")


def text(values) -> pd.Series:
    return pd.Series(list(values), dtype="str")


def catalogue(rng: np.random.Generator, products: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    category = rng.choice(CATEGORIES, products)
    shade = np.array([CATEGORIES.index(name) for name in category])
    pixels = rng.integers(0, 60, (products, 14, 14, 1)) + 45 * shade[:, None, None, None]
    images = pd.DataFrame(
        {
            "image_id": text(f"image{number:03d}" for number in range(products)),
            "image": [encode_png(picture.astype(np.uint8)) for picture in pixels],
            "category": text(category),
            "split": text(["train"] * products),
        }
    )
    colours = rng.choice(["red 红色", "black 黑色", "blue 蓝色"], products)
    table = pd.DataFrame(
        {
            "product_id": text(f"product{number:03d}" for number in range(products)),
            "category": text(category),
            "title": text(f"{colour} {NOUNS[name]}" for colour, name in zip(colours, category, strict=True)),
            "brand": text(rng.choice(["Acme", "Boheme", "山茶"], products)),
            "description": text([None] * products),
            "price": np.round(rng.lognormal(3.5, 0.6, products), 2),
            "image_id": images["image_id"],
        }
    )
    return table, images


def shop(
    seed: int = 0, shoppers: int = 120, events: int = 2500, impressions: int = 1500, liking: float = 0.0
) -> dict[str, pd.DataFrame]:
    """Every table of the contract but `candidates`.

    A shopper touches one favourite category seven times in ten. A tenth of impressions are clicked; `liking` is the
    log-odds by which a creative of the favourite category gains and others lose a third of it.
    """
    rng = np.random.default_rng(seed)
    products, images = catalogue(rng, 60)
    ids = np.array([f"shopper{number:03d}" for number in range(shoppers)])
    favourite = rng.integers(0, len(CATEGORIES), shoppers)
    who = rng.integers(0, shoppers, events)
    of_taste = [np.flatnonzero(products["category"] == name) for name in CATEGORIES]
    liked = np.array([rng.choice(of_taste[favourite[shopper]]) for shopper in who])
    touched = np.where(rng.random(events) < 0.7, liked, rng.integers(0, 60, events))
    kind = rng.choice(["view", "click", "search", "purchase"], events, p=[0.6, 0.2, 0.15, 0.05])
    product = products["product_id"].to_numpy()[touched]
    title = products["title"].to_numpy()[touched]
    creatives = creative_table(rng, products)
    chosen = rng.integers(0, len(creatives), impressions)
    shown_to = rng.integers(0, shoppers, impressions)
    category = creatives["product_id"].map(products.set_index("product_id")["category"]).to_numpy()[chosen]
    gain = np.where(category == np.array(CATEGORIES)[favourite[shown_to]], liking, -liking / 3)
    click = rng.random(impressions) < 1 / (1 + 9 * np.exp(-gain))
    return {
        "campaigns": pd.DataFrame({"campaign": text(["spring", "春季"]), "locale": text(["en", "zh-CN"])}),
        "creatives": creatives,
        "products": products,
        "images": images,
        "shoppers": pd.DataFrame({"shopper_id": text(ids), "consent": rng.random(shoppers) > 0.1}),
        "events": pd.DataFrame(
            {
                "event_id": text(f"event{number}" for number in range(events)),
                "timestamp": times(rng, events),
                "shopper_id": text(ids[who]),
                "kind": text(kind),
                "product_id": text(np.where(kind == "search", None, product)),
                "text": text(np.where(kind == "search", title, None)),
                "dwell_seconds": np.nan,
                "value": np.where(kind == "purchase", products["price"].to_numpy()[touched], np.nan),
            }
        ),
        "impressions": pd.DataFrame(
            {
                "impression_id": text(f"impression{number:06d}" for number in range(impressions)),
                "timestamp": times(rng, impressions),
                "shopper_id": text(ids[shown_to]),
                "campaign": text(creatives["campaign"].to_numpy()[chosen]),
                "position": rng.integers(1, 4, impressions),
                "creative_id": text(creatives["creative_id"].to_numpy()[chosen]),
                "propensity": 1.0 / 12,
                "logging_policy": "uniform",
                "click": click.astype(np.int64),
                "request_id": text([None] * impressions),
                "placement": text(rng.choice(["home", "search"], impressions)),
            }
        ),
    }


def creative_table(rng: np.random.Generator, products: pd.DataFrame) -> pd.DataFrame:
    shown = products.iloc[rng.choice(len(products), 24, replace=False)].reset_index(drop=True)
    return pd.DataFrame(
        {
            "creative_id": text(f"creative{number:02d}" for number in range(24)),
            "campaign": text(["spring", "春季"] * 12),
            "origin": "people",
            "active_from": pd.NaT,
            "active_until": pd.NaT,
            "product_id": shown["product_id"],
            "image_id": shown["image_id"],
            "template": text(rng.choice(["bold", "plain"], 24)),
            "headline": text(rng.choice(["New in", "Half price", "新品上市"], 24)),
            "call_to_action": text(rng.choice(["Shop now", "立即购买"], 24)),
            "palette": text(rng.choice(["warm", "cool"], 24)),
        }
    )
