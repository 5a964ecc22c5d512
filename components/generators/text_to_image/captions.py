"""Captions of product photos in English and Chinese, derived from the category and from measured attributes.

They are derived, not written by people: a caption has a word for the category and, if the photo is in an outer third of
its category, words for its tone or build. "Dark" and "light" are grey levels of the stored photo.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from components.generators.photos.photo_attributes import ANY, HIGH, LOW

# Words for the categories of a fashion shop, English and Chinese; the word for another category is its name.
NAMES = {
    "t-shirt": (("t-shirt", "tee", "top"), ("T恤", "短袖", "上衣")),
    "trouser": (("trousers", "pants", "chinos"), ("长裤", "裤子", "休闲裤")),
    "pullover": (("pullover", "sweater", "jumper"), ("套头衫", "毛衣", "针织衫")),
    "dress": (("dress", "gown", "sundress"), ("连衣裙", "裙子", "长裙")),
    "coat": (("coat", "jacket", "parka"), ("外套", "大衣", "风衣")),
    "sandal": (("sandal", "sandals", "slides"), ("凉鞋", "拖鞋", "沙滩鞋")),
    "shirt": (("shirt", "blouse", "button-down"), ("衬衫", "衬衣", "女式衬衫")),
    "sneaker": (("sneaker", "sneakers", "trainers"), ("运动鞋", "跑步鞋", "球鞋")),
    "bag": (("bag", "handbag", "tote"), ("手提包", "包", "托特包")),
    "ankle-boot": (("ankle boot", "boots", "chelsea boot"), ("短靴", "靴子", "切尔西靴")),
}
TONES = {ANY: (("",), ("",)), LOW: (("dark", "deep"), ("深色", "暗色")), HIGH: (("light", "bright"), ("浅色", "亮色"))}
BUILDS = {ANY: (("",), ("",)), LOW: (("slim", "narrow"), ("修身", "窄款")), HIGH: (("wide", "roomy"), ("宽松", "宽款"))}
FRAMES = (
    ("{} {} {}", "a {} {} {}", "show me a {} {} {}", "I want a {} {} {} please", "{} {} {} for every day"),
    ("{}{}{}", "一款{}{}{}", "我想要{}{}{}", "给我看看{}的{}{}", "适合日常的{}{}{}"),
)


@dataclass(frozen=True)
class Caption:
    """A text and the codes of the category, tone and build that it requests (see photo_attributes)."""

    text: str
    category: int
    tone: int
    build: int


def all_captions(categories: tuple[str, ...]) -> tuple[Caption, ...]:
    """Every combination of the words above for `categories`, in a fixed order."""
    captions = []
    for (code, name), language in product(enumerate(categories), (0, 1)):
        nouns = NAMES.get(name, ((name.replace("-", " "),) * 1, (name,)))[language]
        for tone, build in product(TONES, BUILDS):
            words = product(FRAMES[language], TONES[tone][language], BUILDS[build][language], nouns)
            for frame, tone_word, build_word, noun in words:
                text = " ".join(frame.format(tone_word, build_word, noun).split())
                captions.append(Caption(text, code, tone, build))
    return tuple(captions)


def examples(categories: tuple[str, ...]) -> tuple[Caption, ...]:
    """One caption per category, English and Chinese in update, each with a tone: what a board of captions shows."""
    shown = []
    for code, name in enumerate(categories):
        language, tone = code % 2, (LOW, HIGH)[code // 2 % 2]
        noun = NAMES.get(name, ((name.replace("-", " "),), (name,)))[language][0]
        text = " ".join(FRAMES[language][0].format(TONES[tone][language][0], "", noun).split())
        shown.append(Caption(text, code, tone, ANY))
    return tuple(shown)


def split_captions(captions: tuple[Caption, ...], seed: int, held_out: float = 0.2) -> tuple[tuple, tuple]:
    """(training captions, held-out captions): a random share `held_out` is held out."""
    hidden = np.random.default_rng(seed).random(len(captions)) < held_out
    return (
        tuple(caption for caption, out in zip(captions, hidden, strict=True) if not out),
        tuple(caption for caption, out in zip(captions, hidden, strict=True) if out),
    )
