"""Example ads of one design in every size, with what the pixel rules say of each, for the designer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from components.ads.inspection.drawn_ads import draw_ad_of
from components.ads.inspection.pixel_rules import inspect
from components.ads.rendering.ad_sizes import AD_SIZES, AdSize
from components.ads.rendering.designs import Design, Parts
from components.ads.rendering.image_formats import picture_png

# name -> texts: short and long ones in both languages, and an ad with the marks that a generated image needs in China
EXAMPLES: Mapping[str, Parts] = {
    "en": Parts("New this week", "Shop now", "Canvas sneaker", "$59.00"),
    "en-long": Parts(
        "Light for every day, strong for long walks",
        "See all sneakers",
        "Canvas sneaker, recycled sole",
        "$1,259.00",
    ),
    "en-headline-only": Parts("New this week", "Shop now"),
    "zh-CN": Parts("本周新品", "立即选购", "帆布运动鞋", "¥399.00"),
    "zh-CN-marked": Parts("轻便舒适，每天都想穿，走再远也不累", "立即查看", marks=("广告", "AI生成")),
}
PREVIEW_FILE = "preview.png"
GAP = 8  # pixels between ads on the sheet
SHEET_HEIGHT, FRAME = 320, 2  # pixels: of the highest ad on the sheet, and of the frame around each
SIDE = 480  # pixels of the example photo
GROUND, ARTICLE = (238, 236, 232), (70, 92, 120)


@dataclass(frozen=True)
class PreviewedAd:
    """One example ad. refused: the reason of the first pixel rule that refuses it, or ""."""

    example: str
    size: str
    png: bytes
    refused: str

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.example}-{self.size}.png"


def example_photo() -> np.ndarray:
    """A drawn article on an even ground: uint8 [h, w, 3]."""
    image = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((90, 150, 390, 330), 60, ARTICLE)
    pen.rectangle((80, 310, 400, 345), (250, 250, 248))
    pen.ellipse((140, 110, 260, 230), ARTICLE)
    return np.asarray(image)


def preview(
    design: Design, photo: np.ndarray, palette: str | None = None, sizes: Iterable[AdSize] = AD_SIZES.values()
) -> list[PreviewedAd]:
    """The ads of all EXAMPLES in these sizes with the photo, uint8 [h, w, 1 or 3]; an unknown palette is `mono`."""
    previewed = []
    for example, parts in EXAMPLES.items():
        for size in sizes:
            ad = draw_ad_of(photo, parts, palette, design, size=size, required=parts.marks)
            previewed.append(PreviewedAd(example, size.name, picture_png(ad.pixels), inspect(ad)[1]))
    return previewed


def preview_sheet(ads: Sequence[PreviewedAd]) -> bytes:
    """A PNG with a row of ads per example; higher ones than SHEET_HEIGHT are reduced, refused ones have a red frame."""
    rows = []
    for example in dict.fromkeys(ad.example for ad in ads):
        shown = [_framed(ad) for ad in ads if ad.example == example]
        row = Image.new("RGB", (sum(one.width + GAP for one in shown) - GAP, SHEET_HEIGHT + 2 * FRAME), "white")
        left = 0
        for one in shown:
            row.paste(one, (left, 0))
            left += one.width + GAP
        rows.append(row)
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height + GAP for row in rows) - GAP), "white")
    for place, row in enumerate(rows):
        sheet.paste(row, (0, place * (row.height + GAP)))
    return picture_png(np.asarray(sheet))


def _framed(ad: PreviewedAd) -> Image.Image:
    with Image.open(BytesIO(ad.png)) as opened:
        image = opened.convert("RGB")
    scale = min(1.0, SHEET_HEIGHT / image.height)
    reduced = image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.BOX)
    return ImageOps.expand(reduced, FRAME, "#c62828" if ad.refused else "#d0d0d0")
