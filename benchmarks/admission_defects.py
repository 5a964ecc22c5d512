"""The ads and the planted defects of `benchmarks.admission`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter
from upath import UPath

from benchmarks.admission_texts import BANNED, CALLS, CLAIMS, DISGUISES, HEADLINES, LONG, POPULAR
from components.ads.admission import Candidates, Standards, refusals
from components.ads.copy.lines import lines_for
from components.ads.copy.product_facts import ProductFacts, facts_by_product
from components.ads.inspection.drawn_ads import DrawnAd
from components.ads.inspection.pixel_rules import inspect
from components.ads.pools.product_ads import Written, product_ads
from components.ads.pools.shown_facts import facts_of
from components.ads.rendering.ad_marks import draw_marks, frame_for
from components.ads.rendering.ad_sizes import AD_SIZES, AdSize
from components.ads.rendering.canvas import SCALE, Canvas
from components.ads.rendering.designs import Design, Element, Parts, design_of, designs
from components.ads.rendering.palettes import PALETTES, Palette
from components.ads.rendering.prices import written_price
from components.contract.validation.validate import load_dataset
from components.images import PictureEncoder, decode, encode_png
from components.settings.errors import UserError

DATA = Path("data/storefront")
SIZES = [size for size in AD_SIZES.values() if max(size.width, size.height) < 1000]
LOCALES, REQUIRED = ("en", "zh-CN"), {"en": (), "zh-CN": ("广告",)}
PHOTOS, SIDE, DUPLICATE = 15_000, 500, 0.5  # training photos of the classifier; pixels of a photo; as in params.yaml
Outcome = tuple[str, str, str]  # what was planted, the rule that refused it or "", its reason


@dataclass(frozen=True)
class Ad:
    """A product ad to judge. words: a candidate's row; picture: uint8 [h, w, 3] that is drawn; photo: the shop's.

    layout, palette: None: those of the row. after: what happens to the drawn ad.
    """

    words: dict[str, Any]
    picture: np.ndarray
    photo: np.ndarray
    size: AdSize
    layout: Design | None = None
    palette: Palette | None = None
    required: tuple[str, ...] = ()
    after: Callable[[DrawnAd], DrawnAd] = lambda ad: ad


@dataclass(frozen=True)
class Scene:
    """The catalogue, and the standards by which ads are judged."""

    random: np.random.Generator
    tables: dict[str, pd.DataFrame]
    photos: dict[str, np.ndarray]
    facts: dict[str, ProductFacts]
    standards: Standards
    images: Any  # test photos of marketplace, in place of generated ones

    @classmethod
    def read(cls, seed: int) -> "Scene":
        """storefront's products, and Fashion-MNIST; UserError if storefront is not built."""
        from benchmarks.creatives.shelf import shelf
        from components.generators.quality.photo_classifier import train_classifier
        from components.generators.quality.photo_manifold import Manifold

        if not DATA.exists():
            raise UserError(f"{DATA}: is missing; `adloom data build storefront` makes it")
        tables, _ = load_dataset(UPath(DATA), None)
        contents = tables["images"].set_index("image_id")["image"]
        photos = {name: _reduced(decode(contents[name])) for name in tables["products"]["image_id"]}
        random, (train, test) = np.random.default_rng(seed), shelf()
        some = train.take(random.permutation(len(train.category))[:PHOTOS])
        facts = facts_by_product(tables)
        manifold = Manifold.fit(some.pictures, PictureEncoder.fit(some.pictures, 64))
        standards = Standards(manifold, DUPLICATE, {}, facts, tuple(SIZES), recognises=train_classifier(some, seed))
        return cls(random, tables, photos, facts, standards, test)

    def pick(self, values: Sequence) -> Any:
        """One of the values."""
        return values[int(self.random.integers(len(values)))]

    def verdict(self, ad: Ad) -> tuple[str, str]:
        """The rule that refuses a product ad, and its reason; "" and "" if none does."""
        standards = replace(self.standards, sizes=(ad.size,))
        (rule,), (reason,) = refusals(Candidates(pd.DataFrame([ad.words])), standards, reads=("texts",))
        return (rule, reason) if rule else inspect(ad.after(drawn(ad)))

    def image_verdicts(self, images: Sequence[tuple[np.ndarray, str]]) -> list[tuple[str, str]]:
        """The same for images [(uint8 [28, 28, 1], category)] of one pool."""
        words = pd.DataFrame({"category": [category for _, category in images]})
        words = words.reindex(columns=["headline", "call_to_action", "campaign", "locale", "category", "design"])
        pictures = np.stack([picture for picture, _ in images])
        return list(zip(*refusals(Candidates(words, pictures), self.standards, reads=("pictures",)), strict=True))


def _reduced(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)


def drawn(ad: Ad) -> DrawnAd:
    """The ad as the renderer draws it, with the planted layout or palette."""
    words = ad.words
    parts = Parts(words["headline"], words["call_to_action"], **facts_of(words["design"]))
    palette = ad.palette or PALETTES[words["palette"]]
    canvas = Canvas.blank(ad.size, palette, ad.picture, frame_for(ad.size, parts.marks))
    (ad.layout or design_of(words["template"])).draw_on(canvas, parts, ad.size.aspect)
    if parts.marks:
        draw_marks(canvas, ad.size, parts.marks)
    pixels = np.asarray(canvas.image.resize((ad.size.width, ad.size.height), Image.Resampling.BOX))
    return DrawnAd(ad.size, pixels, tuple(canvas.marks), ad.photo, palette, ad.required)


def sound_ad(scene: Scene) -> Ad:
    """An ad that a shop would run: whole texts, grounded or claimless, the marks of its market."""
    while True:
        product = scene.tables["products"].iloc[int(scene.random.integers(len(scene.photos)))]
        locale, facts = scene.pick(LOCALES), scene.facts[product["product_id"]]
        lines = [line for line in lines_for(facts, locale, "EUR") if locale == "en" or "的" in line or "：" in line]
        headline = scene.pick(lines if lines and scene.random.random() < 0.5 else HEADLINES[locale])
        template, size = scene.pick(sorted(designs())), scene.pick(SIZES)
        shown: dict[str, Any] = {"marks": list(REQUIRED[locale])} if REQUIRED[locale] else {}
        if product["title"].lower() not in headline.lower():
            shown["title"] = product["title"]
        if template == "price-tag":
            shown["price"] = written_price(product["price"], "EUR", locale)
        words = {
            **{"campaign": f"c-{locale}", "locale": locale, "category": product["category"], "template": template},
            **{"product_id": product["product_id"], "image_id": product["image_id"], "headline": headline},
            **{"palette": scene.pick(sorted(PALETTES)), "call_to_action": scene.pick(CALLS[locale])},
            "design": json.dumps(shown, ensure_ascii=False),
        }
        photo = scene.photos[product["image_id"]]
        ad = Ad(words, photo, photo, size, required=REQUIRED[locale])
        if not any(mark.lettering.cut for mark in drawn(ad).marks if mark.kind == "text"):
            return ad  # one that does not fit at this size is no sound ad


def sound_images(scene: Scene, count: int) -> list[tuple[np.ndarray, str]]:
    """Test photos with their categories."""
    rows = scene.random.permutation(len(scene.images.category))[:count]
    return [(scene.images.pictures[row], scene.images.categories[scene.images.category[row]]) for row in rows]


@dataclass(frozen=True)
class Defect:
    """A kind of defect. rules: those that should find it; verdicts: scene, count -> what became of each."""

    rules: tuple[str, ...]
    verdicts: Callable[[Scene, int], list[Outcome]]


def _one(plant: Callable[[Scene, Ad], tuple[str, Ad]]) -> Callable[[Scene, int], list[Outcome]]:
    """Plant a defect in one sound ad at a time."""

    def verdicts(scene: Scene, count: int) -> list[Outcome]:
        planted = [plant(scene, sound_ad(scene)) for _ in range(count)]
        return [(about, *scene.verdict(ad)) for about, ad in planted]

    return verdicts


def _said(ad: Ad, headline: str) -> tuple[str, Ad]:
    return headline, replace(ad, words={**ad.words, "headline": headline})


def changed_product(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """Another colour, brightness, patch, mirror image or blur of the photo."""
    photo, kind = ad.photo, scene.pick(("colour", "brightness", "patch", "mirror", "blur"))
    high, wide = photo.shape[:2]
    if kind == "colour":
        shown = photo[..., [1, 2, 0]]
    elif kind == "brightness":
        shown = (photo * 0.85).astype(np.uint8)
    elif kind == "patch":
        shown = photo.copy()
        shown[high * 2 // 5 : high // 2, wide * 2 // 5 : wide // 2] = scene.random.integers(0, 256, 3)
    elif kind == "mirror":
        shown = photo[:, ::-1]
    else:
        shown = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(4)))
    return kind, replace(ad, picture=np.ascontiguousarray(shown))


def _contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """WCAG 2.2."""
    lights = []
    for colour in (one, other):
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in np.array(colour) / 255
        ]
        lights.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05)
    return max(lights) / min(lights)


def faint(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """The headline's or the button's text in a colour near its background, at a contrast of 1.2 to 4."""
    palette = PALETTES[ad.words["palette"]]
    text, ground = scene.pick((("ink", palette.paper), ("on_action", palette.action)))
    target, far = scene.random.uniform(1.2, 4.0), np.array(getattr(palette, text), float)
    for share in np.linspace(1, 0, 200):
        colour = tuple(int(part) for part in share * far + (1 - share) * np.array(ground))
        if _contrast(colour, ground) <= target:
            break
    return f"{text} {_contrast(colour, ground):.2f}", replace(ad, palette=replace(palette, **{text: colour}))


def _moved(ad: Ad, box: tuple[int, int, int, int]) -> Ad:
    """The ad with its headline in this box, drawn last."""
    design, aspect = design_of(ad.words["template"]), ad.size.aspect
    others = tuple(element for element in design.layouts[aspect] if element.of != "headline")
    headline = Element(draw="text", of="headline", box=box, largest=140, lines=4)
    return replace(ad, layout=Design(layouts={**design.layouts, aspect: (*others, headline)}))


def _boxes(ad: Ad, of: str) -> list[tuple[int, int, int, int]]:
    shown = {"picture"} if of == "picture" else {of}
    elements = design_of(ad.words["template"]).layouts[ad.size.aspect]
    return [element.box for element in elements if {element.draw, element.of} & shown and element.when != "price"]


def over_product(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """The headline in the middle of the photo."""
    left, top, right, bottom = _boxes(ad, "picture")[0]
    wide, high = (right - left) // 8, (bottom - top) // 5
    return "headline on the photo", _moved(ad, (left + wide, top + high, right - wide, bottom - high))


def over_text(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """The headline on the title or the button."""
    has_title = "title" in json.loads(ad.words["design"])
    part = scene.pick(("title", "call_to_action") if has_title else ("call_to_action",))
    return f"headline on {part}", _moved(ad, _boxes(ad, part)[0])


def clipped(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """A headline that is too long."""
    text = scene.pick(LONG[ad.words["locale"]]) * int(scene.random.integers(3, 7))
    return _said(ad, text[:290])


def claims(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """A claim that the product's tables do not back."""
    facts = scene.facts[ad.words["product_id"]]
    known = CLAIMS[ad.words["locale"]] + (() if facts.bestseller else POPULAR[ad.words["locale"]])
    return _said(ad, scene.pick(known).format(title=facts.title))


def banned(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """A word that the market bans, in a sentence, in its usual spelling."""
    word, sentence = scene.pick(BANNED[ad.words["locale"]]), scene.pick(("{}", "{}!", "Wow, {}", "{} - yes"))
    text = sentence.format(word) if ad.words["locale"] == "en" else scene.pick(("{}品质", "本季{}", "{}")).format(word)
    return _said(ad, scene.pick((text, text.upper(), text.capitalize())))


def disguised(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """A look-alike of such a word."""
    locale = ad.words["locale"]
    disguise, word = scene.pick(DISGUISES[locale]), scene.pick(BANNED[locale])
    while disguise(word) == word:
        disguise, word = scene.pick(DISGUISES[locale]), scene.pick(BANNED[locale])
    return _said(ad, disguise(word))


def unmarked(scene: Scene, ad: Ad) -> tuple[str, Ad]:
    """A mark that is left out, misspelt, or painted over."""
    mark = "广告" if ad.words["locale"] == "zh-CN" else "AI generated image"
    facts, kind = json.loads(ad.words["design"]), scene.pick(("left out", "misspelt", "painted over"))
    shown = {"left out": [], "misspelt": ["推广" if mark == "广告" else "Image"], "painted over": [mark]}[kind]
    words = {**ad.words, "design": json.dumps({**facts, "marks": shown}, ensure_ascii=False)}
    planted = replace(ad, words=words, required=(mark,), size=scene.pick(SIZES))

    def paint(one: DrawnAd) -> DrawnAd:
        area = next(drawn.area for drawn in one.marks if drawn.text == mark)
        pixels = one.pixels.copy()
        left, top, right, bottom = (side // SCALE for side in area)
        pixels[top : bottom + 1, left : right + 1] = one.palette.paper
        return replace(one, pixels=pixels)

    return f"{mark} {kind}", replace(planted, after=paint) if kind == "painted over" else planted


def near_duplicates(scene: Scene, count: int) -> list[Outcome]:
    """Images with little noise, light or a shift, and ads whose texts differ in marks or case alone."""
    found: list[Outcome] = []
    for picture, category in sound_images(scene, count - count // 2):
        kind = scene.pick(("noise", "light", "shift"))
        values = picture.astype(float)
        if kind == "noise":
            values = values + scene.random.normal(0, 4, picture.shape)
        elif kind == "light":
            values = values * scene.random.choice([0.95, 1.04])
        else:
            values = np.roll(values, int(scene.random.choice([-1, 1])), axis=int(scene.random.integers(2)))
        copy = np.clip(values, 0, 255).astype(np.uint8)
        found.append((kind, *scene.image_verdicts([(picture, category), (copy, category)])[1]))
    for _ in range(count // 2):
        one = sound_ad(scene).words
        kind, change = scene.pick(
            (
                ("mark", lambda text: f"{text}!"),
                ("case", str.upper),
                ("space", lambda text: f" {text} ."),
                ("letter", lambda text: text.replace("o", "\u043e") + "."),
            )
        )
        rows = pd.DataFrame([one, {**one, "headline": change(one["headline"])}])
        rules, reasons = refusals(Candidates(rows), scene.standards, reads=("texts",))
        found.append((f"{kind}: {one['headline']}", rules[1], reasons[1]))
    return found


def wrong_category(scene: Scene, count: int) -> list[Outcome]:
    """Images of another category."""
    known = scene.images.categories
    planted = [
        (picture, scene.pick([name for name in known if name != category]), category)
        for picture, category in sound_images(scene, count)
    ]
    verdicts = [scene.image_verdicts([(picture, claimed)])[0] for picture, claimed, _ in planted]
    return [(f"{true} as {claimed}", *one) for (_, claimed, true), one in zip(planted, verdicts, strict=True)]


def blank_photo(scene: Scene, kind: str) -> np.ndarray:
    """One colour, one with noise, a gradient, or a shop's placeholder; uint8 [300, 300, 3]."""
    colour = scene.random.integers(150, 256, 3)
    if kind == "gradient":
        ramp = np.linspace(0, 1, 300)[:, None, None] * scene.random.integers(30, 100)
        return np.clip(colour - ramp * np.ones((1, 300, 1)), 0, 255).astype(np.uint8)
    photo = np.broadcast_to(colour, (300, 300, 3)).astype(np.uint8)
    if kind == "noise":
        return np.clip(photo + scene.random.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)
    if kind == "placeholder":
        image = Image.fromarray(photo)
        ImageDraw.Draw(image).rectangle((90, 90, 210, 210), outline=(120, 120, 120), width=6)
        ImageDraw.Draw(image).text((100, 140), "No image available", fill=(90, 90, 90))
        return np.asarray(image)
    return photo


def blank_photos(scene: Scene, count: int) -> list[Outcome]:
    """Products with a photo that shows nothing, or a placeholder that five share, among those of the shop."""
    kinds = [("one colour", "noise", "gradient", "placeholder")[number % 4] for number in range(count)]
    shared = encode_png(blank_photo(scene, "placeholder"))
    contents = [shared if kind == "placeholder" else encode_png(blank_photo(scene, kind)) for kind in kinds]
    kinds += ["placeholder"] * 5  # that share it with those counted
    contents += [shared] * 5
    names = [f"blank-{number}" for number in range(len(kinds))]
    images = ["placeholder" if kind == "placeholder" else name for kind, name in zip(kinds, names, strict=True)]
    products, creatives = scene.tables["products"], scene.tables["creatives"]
    made = pd.DataFrame({"product_id": names, "category": "Photo", "title": names, "price": 1.0, "image_id": images})
    ads = pd.DataFrame({"creative_id": names, "product_id": names, "headline": "Warm days", "call_to_action": "See"})
    ads = ads.assign(campaign=creatives["campaign"].iloc[0], origin="people", template="plain", palette="mono")
    tables = {
        **scene.tables,
        "products": pd.concat([products, made], ignore_index=True),
        "creatives": pd.concat([creatives[creatives["origin"] == "people"], ads], ignore_index=True),
        "images": pd.DataFrame({"image_id": images, "image": contents}).drop_duplicates("image_id"),
    }
    tables["images"] = pd.concat([scene.tables["images"], tables["images"]], ignore_index=True)
    proposals, _ = product_ads(tables, 2000, Written({}, "EUR", 0.0), seed=0)
    proposed = set(proposals.rows["product_id"])
    return [(kind, "" if name in proposed else "photo", "") for kind, name in zip(kinds, names, strict=True)][:count]


DEFECTS = {
    "changed product pixels": Defect(("product pixels",), _one(changed_product)),
    "low contrast text": Defect(("contrast",), _one(faint)),
    "text on the product": Defect(("text off the product",), _one(over_product)),
    "text on text": Defect(("texts apart",), _one(over_text)),
    "clipped text": Defect(("whole texts", "type"), _one(clipped)),
    "ungrounded claim": Defect(("grounded",), _one(claims)),
    "banned word": Defect(("market",), _one(banned)),
    "look-alike of a banned word": Defect(("market",), _one(disguised)),
    "near-duplicate": Defect(("repeats", "same words"), near_duplicates),
    "wrong category": Defect(("category",), wrong_category),
    "missing mark": Defect(("marks", "texts shown"), _one(unmarked)),
    "blank or placeholder photo": Defect(("photo",), blank_photos),
}
