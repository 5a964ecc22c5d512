"""Render many ads and measure what a reader needs: whole texts, contrast, no overlap, the product's own pixels.

    python -m benchmarks.composition [--renders N] [--seed N]

Photos: those of storefront (`adloom data build storefront`) and odd ones made here (grey, thin, tiny, noisy). Texts:
written lines and titles of storefront's products and headlines, English and Chinese. Every design, palette and size.
A clipped text ends in dots. Contrast is that of a text's colour with the most frequent colour in its box (WCAG 2.2, AA:
4.5). A text overlaps if its box meets another's. The product is hidden where a shape lies on the photo; the designs
`badge` and `price-tag` put theirs there on purpose, so they are counted apart. Pixels: the largest difference between
the photo in the drawn ad and the photo framed and resized alone, outside of shapes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from upath import UPath

from components.ads.copy.lines import lines_for
from components.ads.copy.product_facts import facts_by_product
from components.ads.rendering.ad_sizes import AD_SIZES
from components.ads.rendering.canvas import FINEST, Canvas, Mark
from components.ads.rendering.compose import lay_out
from components.ads.rendering.designs import Parts, cut_text, designs
from components.ads.rendering.framing import fitted, reduced
from components.ads.rendering.image_formats import picture_png
from components.ads.rendering.palettes import PALETTES, contrast
from components.ads.rendering.prices import written_price
from components.contract.validation.validate import load_dataset
from components.images import decode

DATA = Path("data/storefront")
CALLS = {"en": ("Shop now", "Discover", "See more", "Get yours"), "zh-CN": ("立即购买", "了解详情", "去看看")}
CHINESE = ("想换个新造型吗?", "从早到晚都合身", "商家不会告诉你的秘密", "轻柔面料经久耐穿")
AA = 4.5
ON_PURPOSE = ("badge", "price-tag")


def photos(random: np.random.Generator) -> list[np.ndarray]:
    """The photos of storefront, and odd ones."""
    known = [decode(content) for content in pd.read_parquet(DATA / "images.parquet")["image"]]
    shapes = [(28, 28, 1), (400, 40, 3), (40, 400, 3), (16, 16, 3), (1600, 1600, 3), (300, 200, 1)]
    return known + [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def texts(random: np.random.Generator) -> list[Parts]:
    """The texts of an ad for each product and language."""
    tables, _ = load_dataset(UPath(DATA), None)
    facts = facts_by_product(tables)
    people = tables["creatives"]["headline"].dropna().unique().tolist()
    made = []
    for one in facts.values():
        for locale, calls in CALLS.items():
            lines = lines_for(one, locale, "EUR") + (people if locale == "en" else list(CHINESE))
            headline = lines[int(random.integers(len(lines)))]
            title = None if one.title and one.title.lower() in headline.lower() else one.title
            price = written_price(one.price, "EUR", locale)
            made.append(Parts(headline, calls[int(random.integers(len(calls)))], title, price))
    return made


def overlaps(one: tuple, other: tuple) -> bool:
    """Whether two boxes share a pixel."""
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def too_faint(canvas: Canvas, mark: Mark) -> bool:
    """Whether a text has less contrast with the most frequent colour in its box than AA asks for."""
    colours = np.asarray(canvas.image.crop(mark.area)).reshape(-1, 3)
    values, counts = np.unique(colours, axis=0, return_counts=True)
    return contrast(tuple(map(int, values[counts.argmax()])), mark.colour) < AA


def changed_pixels(canvas: Canvas) -> int:
    """The largest difference of the ad's photo from the photo framed and resized alone, where nothing covers it."""
    picture = next(mark for mark in canvas.marks if mark.kind == "picture")
    left, top, right, bottom = picture.area
    size = right - left, bottom - top
    framed = fitted(reduced(canvas.picture, FINEST * size[0], FINEST * size[1]), size[0] / size[1])
    expected = np.asarray(Image.fromarray(framed).resize(size, Image.Resampling.BICUBIC)).astype(int)
    seen = np.abs(np.asarray(canvas.image.crop(picture.area)).astype(int) - expected).max(axis=2)
    covered = np.zeros(seen.shape, bool)
    for mark in canvas.marks[canvas.marks.index(picture) + 1 :]:
        box = [value - start for value, start in zip(mark.area, (left, top, left, top), strict=True)]
        covered[max(box[1], 0) : max(box[3], 0), max(box[0], 0) : max(box[2], 0)] = True
    middle = np.zeros(seen.shape, bool)
    middle[size[1] // 8 : -size[1] // 8 or None, size[0] // 8 : -size[0] // 8 or None] = True  # corners may be rounded
    return int(seen[middle & ~covered].max(initial=0))


def main() -> None:
    """Render, measure, and print one line of JSON at the end."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--renders", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    random = np.random.default_rng(given.seed)
    pictures, parts_list = photos(random), texts(random)
    names, palettes, sizes = sorted(designs()), sorted(PALETTES), list(AD_SIZES.values())
    found = dict.fromkeys(("refused", "clipped", "faint", "overlapping", "hidden", "hidden_on_purpose", "changed"), 0)
    seconds = dict.fromkeys(AD_SIZES, 0.0)
    drawn = dict.fromkeys(AD_SIZES, 0)
    for number in range(given.renders):
        size, template = sizes[number % len(sizes)], names[int(random.integers(len(names)))]
        picture = pictures[int(random.integers(len(pictures)))]
        parts = parts_list[int(random.integers(len(parts_list)))]
        brand = f"#{random.integers(0, 2**24):06x}" if random.random() < 0.5 else None
        palette = palettes[int(random.integers(len(palettes)))]
        if cut_text(parts, template, size, picture.shape[2] == 3) is not None:
            found["refused"] += 1  # by the admission rule, so it is never drawn
            continue
        start = time.process_time()
        canvas = lay_out(picture, parts, palette, template, size=size, brand_color=brand)
        ad = np.asarray(canvas.image.resize((size.width, size.height), Image.Resampling.BOX))
        picture_png(ad)
        seconds[size.name] += time.process_time() - start
        drawn[size.name] += 1
        marks = [mark for mark in canvas.marks if mark.kind == "text"]
        places = [canvas.marks.index(mark) for mark in canvas.marks if mark.kind == "picture"]
        shapes = [mark for mark in canvas.marks[places[0] + 1 :] if mark.kind == "shape"] if places else []
        hides = any(overlaps(mark.area, canvas.marks[places[0]].area) for mark in shapes)
        found["clipped"] += any(mark.lettering.cut for mark in marks)
        found["faint"] += any(too_faint(canvas, mark) for mark in marks)
        found["overlapping"] += any(
            overlaps(one.area, other.area) for place, one in enumerate(marks) for other in marks[:place]
        )
        found["hidden_on_purpose" if template in ON_PURPOSE else "hidden"] += hides
        if canvas.in_colour:
            found["changed"] = max(found["changed"], changed_pixels(canvas))
    speed = {name: round(drawn[name] / seconds[name], 1) for name in drawn if seconds[name]}
    for name, count in found.items():
        print(f"{name:20} {count}")
    print("ads per second and core:", ", ".join(f"{name} {rate}" for name, rate in speed.items()))
    print(json.dumps({"renders": sum(drawn.values()), **found, "per_second": speed}))


if __name__ == "__main__":
    main()
