"""What people review after a run: the new creatives of the pool, those that wait, and some that were refused."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from PIL import Image

from components.ads.pools.pool import Pool
from components.ads.pools.reviews import ADMITTED, REFUSED, WAITING, design_key
from components.ads.pools.shown_facts import facts_of
from components.ads.rendering.ad_sizes import AdSize
from components.ads.rendering.image_formats import picture_png
from components.settings.file_names import file_name

COLUMNS = (
    *("creative_id", "key", "campaign", "status", "rule", "reason", "headline", "call_to_action", "title", "price"),
    *("marks", "template", "palette", "picture"),
)
LARGEST = 600  # pixels of the longer side of a refused ad's picture


def review_list(
    pool: Pool, pngs: Mapping[tuple[str, str], bytes], size: AdSize
) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """COLUMNS [n] of the creatives, and the pictures that are not in the pool, by relative file name.

    picture: file in the folder of the stage: the ad in `size`, or the image of an ad that was refused before it was
    drawn. pngs: of drawn ads, by creative_id and size.
    """
    rows, pictures = [], {}
    for creative, status, rule, reason, image in _creatives(pool):
        png = pngs.get((creative["creative_id"], size.name)) or _small(image)
        folder = "pool/ads" if status == ADMITTED else "review/ads"
        name = f"{folder}/{file_name(creative['creative_id'], f'-{size.name}.png')}"
        if status != ADMITTED:
            pictures[name] = png
        facts = facts_of(creative.get("design"))
        about = {**creative, **facts, "marks": " ".join(facts.get("marks", ())) or None}
        about |= {"key": design_key(creative), "status": status, "rule": rule, "reason": reason, "picture": name}
        rows.append({column: about.get(column) for column in COLUMNS})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype("str"), pictures


def _creatives(pool: Pool) -> Iterator[tuple[Mapping, str, str | None, str | None, np.ndarray]]:
    """Row, status, rule, reason and image of each creative."""
    for row, image in zip(pool.creatives.to_dict("records"), pool.pictures, strict=True):
        yield row, ADMITTED, None, None, image
    for row, image in zip(pool.waiting.to_dict("records"), pool.waiting_pictures, strict=True):
        yield row, WAITING, None, None, image
    for refusal in pool.refusals:
        yield refusal.creative, REFUSED, refusal.rule, refusal.reason, refusal.picture


def _small(image: np.ndarray) -> bytes:
    """The PNG of an image uint8 [h, w, c], reduced to LARGEST."""
    if max(image.shape[:2]) <= LARGEST:
        return picture_png(image)
    reduced = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    reduced.thumbnail((LARGEST, LARGEST))
    return picture_png(np.asarray(reduced).reshape(reduced.height, reduced.width, -1))
