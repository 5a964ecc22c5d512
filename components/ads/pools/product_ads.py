"""Candidate ads that show a product's own photo, with its pixels unchanged: new combinations of what people used, with
headlines of theirs or headlines written from the product's facts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from PIL import Image

from components.ads.copy.lines import lines_for
from components.ads.copy.product_facts import NOTHING_KNOWN, ProductFacts
from components.ads.pools.proposals import DRAWN, DRAWS_PER_PLACE, Proposals, by_people, drawn_texts, named
from components.ads.pools.shown_facts import shown_facts
from components.contract.origins import PRODUCT_ADS
from components.images import decode
from components.settings.errors import UserError

SMALLEST_SIDE = 16  # pixels; a smaller photo shows nothing
SIDE, EDGE = 24, 6.0  # pixels of the reduced photo; levels by which an even change of colour may bend there
PLACEHOLDER = 5  # products that share a photo: a shop's placeholder for a missing one
SHOWN = ["product_id", "image_id"]


@dataclass(frozen=True)
class Written:
    """What ads say beside people's texts. facts: by product_id; currency: of prices, ISO 4217; share: of the candidates
    whose headline is written (copy/lines.py), where there is a line for their product, in [0, 1]; markets: whose marks
    the ads show, of `ads.markets`."""

    facts: Mapping[str, ProductFacts]
    currency: str
    share: float
    markets: Mapping[str, str] = field(default_factory=dict)


def product_ads(
    tables: Mapping[str, pd.DataFrame], per_campaign: int, written: Written, *, seed: int
) -> tuple[Proposals, tuple[str, ...]]:
    """Candidates for the tables `campaigns`, `creatives`, and optionally `products` and `images`; and remarks.

    Each shows a product that people advertise in the campaign; its texts, template and palette are drawn from those
    that they used there, or its headline is written. It also shows the product's title, and in the template
    `price-tag` its price (shown_facts.py). An ad that people made already is not proposed. The remarks count the
    products without a usable photo, by reason.
    """
    photos, remarks = _photos(tables)
    drawn = [
        _draw(
            tables,
            campaign,
            photos,
            per_campaign * DRAWS_PER_PLACE,
            written=written,
            random=np.random.default_rng((seed, place)),
        )
        for place, campaign in enumerate(sorted(tables["campaigns"]["campaign"]))
    ]
    return Proposals(pd.concat(drawn, ignore_index=True)), remarks


def _draw(
    tables: Mapping[str, pd.DataFrame],
    campaign: str,
    photos: pd.DataFrame,
    count: int,
    *,
    written: Written,
    random: np.random.Generator,
) -> pd.DataFrame:
    """At most `count` distinct rows of `Proposals` for one campaign."""
    own = by_people(tables, campaign)
    shown = own[["product_id"]].merge(photos, on="product_id").sort_values("product_id", kind="stable")
    if shown.empty:
        return pd.DataFrame()
    rows = shown.iloc[random.integers(0, len(shown), count)].reset_index(drop=True)
    rows = rows.assign(campaign=campaign, origin=PRODUCT_ADS, **drawn_texts(own, count, random))
    locale = tables["campaigns"].set_index("campaign")["locale"][campaign]
    rows = rows.assign(headline=_headlines(rows, locale, written, random))
    rows = rows.drop_duplicates([*SHOWN, *DRAWN])
    rows = rows[~_keys(rows).isin(_keys(own))].reset_index(drop=True)
    rows = rows.assign(design=shown_facts(rows, tables, written.currency, written.markets))
    content = rows[["campaign", *SHOWN, *DRAWN, "design"]].astype("object")
    contents = content.where(content.notna(), None).to_dict("records")
    return rows.assign(creative_id=named(rows["campaign"], "ad", contents))


def _headlines(rows: pd.DataFrame, locale: str, written: Written, random: np.random.Generator) -> list[str | None]:
    """The headlines of the candidates, `written.share` of them written where a line fits their product."""
    lines = {
        product: lines_for(written.facts.get(product, NOTHING_KNOWN), locale, written.currency)
        for product in rows["product_id"].unique()
    }
    chosen = []
    for product, used, draw, choice in zip(
        rows["product_id"], rows["headline"], random.random(len(rows)), random.random(len(rows)), strict=True
    ):
        own = lines[product]
        chosen.append(own[int(choice * len(own))] if own and draw < written.share else used)
    return chosen


def _keys(rows: pd.DataFrame) -> pd.Series:
    """What an ad shows and says, as a tuple per row, without its image: people's ads may leave it to the product."""
    columns = [rows[name].astype("object").where(rows[name].notna(), None) for name in ("product_id", *DRAWN)]
    return pd.Series(list(zip(*columns, strict=True)), index=rows.index, dtype="object")


def _photos(tables: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Columns product_id, image_id and category of advertised products with a usable photo; remarks on the others."""
    empty = pd.DataFrame(columns=[*SHOWN, "category"], dtype="str")
    if "products" not in tables or "images" not in tables:
        missing = "products" if "products" not in tables else "images"
        return empty, (f"no ads with photos of products: no table {missing}",)
    products, images = tables["products"], tables["images"]
    shared = products["image_id"].map(products["image_id"].value_counts())
    products = products[products["product_id"].isin(tables["creatives"]["product_id"].dropna())]
    placeholder = shared.reindex(products.index).ge(PLACEHOLDER).fillna(False)
    used = images[images["image_id"].isin(products.loc[~placeholder, "image_id"].dropna())]
    faults = {name: _fault(content) for name, content in zip(used["image_id"], used["image"], strict=True)}
    reasons = products["image_id"].map(faults)
    reasons = reasons.where(reasons.notna(), "has no photo")
    reasons = reasons.mask(placeholder.astype(bool), f"shares its photo with {PLACEHOLDER - 1} products or more")
    counts = Counter(reasons[reasons != ""])
    remarks = tuple(
        f"{count} advertised products are in no new ad: {reason}" for reason, count in sorted(counts.items())
    )
    return products.loc[reasons == "", [*SHOWN, "category"]], remarks


def _fault(content: bytes) -> str:
    """Why a photo is in no ad; "" if it can be."""
    try:
        picture = decode(content)
    except UserError as error:
        return f"its photo cannot be read ({error})"
    if min(picture.shape[:2]) < SMALLEST_SIDE:
        return f"its photo is less than {SMALLEST_SIDE} pixels wide or high"
    return "its photo shows nothing" if _is_blank(picture) else ""


def _is_blank(picture: np.ndarray) -> bool:
    """Whether a photo uint8 [h, w, c] has one colour, or colours that change evenly, but for noise."""
    channels = [Image.fromarray(picture[..., channel]) for channel in range(picture.shape[2])]
    small = [np.asarray(one.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64) for one in channels]
    bends = [np.diff(one, 2, axis=axis) for one in small for axis in (0, 1)]
    return max(float(np.abs(bend).max()) for bend in bends) < EDGE
