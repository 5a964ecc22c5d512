"""What the simulated shops sell: categories, brands, prices, and the words that ads and shoppers use for them.

Codes are positions in these tuples. The style of a headline is not in the data; models must learn it from its words, as
in any shop.
"""

from dataclasses import dataclass

import numpy as np

from components.settings.errors import UserError
from components.simulator.vocabulary import LOCALES

DRAWN_PER_CAMPAIGN = 120  # products of a campaign in an assortment without a catalogue


@dataclass(frozen=True)
class Assortment:
    """The products of a shop and the texts about them; a first index `locale` is a code in LOCALES.

    category_words [locale][category]: words for a category; titles and reviews use the first one, queries all of them.
    headlines [locale][style]; reviews [locale]. price = exp(log_price + price_spread z), with z the price in the click
    law. catalogue: number of products of a real catalogue, which campaigns share out; None: products are drawn.
    """

    locales: tuple[str, ...]
    categories: tuple[str, ...]
    category_words: tuple[tuple[tuple[str, ...], ...], ...]
    brands: tuple[str, ...]
    headlines: tuple[tuple[tuple[str, ...], ...], ...]
    reviews: tuple[tuple[str, ...], ...]
    log_price: float
    price_spread: float
    catalogue: int | None = None

    def products_per_campaign(self, campaigns: int) -> int:
        """The products of each of `campaigns`; UserError if the catalogue's do not divide evenly."""
        if self.catalogue is None:
            return DRAWN_PER_CAMPAIGN
        if self.catalogue % campaigns:
            fitting = [str(count) for count in range(1, self.catalogue + 1) if self.catalogue % count == 0]
            raise UserError(
                f"simulator.campaigns {campaigns}: {self.catalogue} products cannot be shared out evenly; write "
                f"{', '.join(fitting[:-1])} or {fitting[-1]}"
            )
        return self.catalogue // campaigns


_FASHION_BRANDS = (
    "Alder", "Birke", "Corvo", "Dune", "Estrel", "Fjord", "Gala", "Hanmo", "Indigo", "Jade", "Kestrel", "Lumen",
)  # fmt: skip
_STOREFRONT_BRANDS = (
    "ADMI", "Adidas", "Agfa", "Apple", "Converse", "Corsair", "Everlast", "Kodak", "Logitech", "Manfrotto", "Nike",
    "Nikkon", "Pinarello", "Polaroid", "Rolleiflex", "Samsung", "Seagate", "Sony", "Wilson",
)  # fmt: skip

# The ten categories of Fashion-MNIST, in the order of its labels, in English and Chinese.
FASHION = Assortment(
    locales=LOCALES,
    categories=("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"),
    category_words=(
        (
            ("T-shirt", "tee", "top"),
            ("trousers", "pants", "chinos"),
            ("pullover", "sweater", "jumper"),
            ("dress", "gown", "sundress"),
            ("coat", "jacket", "parka"),
            ("sandals", "slides", "flip-flops"),
            ("shirt", "blouse", "button-down"),
            ("sneakers", "trainers", "running shoes"),
            ("bag", "handbag", "tote"),
            ("ankle boots", "boots", "chelsea boots"),
        ),
        (
            ("T恤", "短袖", "上衣"),
            ("长裤", "裤子", "休闲裤"),
            ("套头衫", "毛衣", "针织衫"),
            ("连衣裙", "裙子", "长裙"),
            ("外套", "大衣", "风衣"),
            ("凉鞋", "拖鞋", "沙滩鞋"),
            ("衬衫", "衬衣", "女式衬衫"),
            ("运动鞋", "跑步鞋", "球鞋"),
            ("包", "手提包", "托特包"),
            ("短靴", "靴子", "切尔西靴"),
        ),
    ),
    brands=_FASHION_BRANDS,
    headlines=(
        (
            ("Comfort that lasts all day", "Soft, light and made to last", "Fits you from morning to night"),
            ("Up to 30% off this week", "Great style at a small price", "More fashion for less money"),
            ("Only a few left in your size", "Last chance: ends tonight", "Selling fast, do not miss it"),
            ("Loved by 20,000 shoppers", "Our best seller of the season", "Rated five stars by customers"),
            ("Ready for a new look?", "What will you wear tomorrow?", "Looking for your perfect fit?"),
            (
                "You will not believe this trick",
                "The secret shops do not tell you",
                "One weird thing everyone wears now",
            ),
        ),
        (
            ("全天舒适不紧绷", "轻柔面料经久耐穿", "从早到晚都合身"),
            ("本周低至七折", "好看不贵一件到手", "花更少穿更好"),
            ("你的尺码仅剩几件", "最后机会今晚截止", "热卖中手慢无"),
            ("两万人都说好", "当季销量冠军", "顾客五星好评"),
            ("想换个新造型吗?", "明天穿什么?", "还在找合身的款式?"),
            ("看完你绝对不敢相信", "商家不会告诉你的秘密", "所有人都在偷偷穿的神物"),
        ),
    ),
    reviews=(
        ("Lovely {word}, fits well", "The {word} looks just like the photo", "Good {word} for the price"),
        ("{word}很好看,很合身", "{word}和图片一样", "这个价格的{word}很值"),
    ),
    log_price=float(np.log(40.0)),
    price_spread=0.6,
)

# The catalogue of the npm package @vendure/create: its categories and brands; mean and spread of its log prices.
STOREFRONT = Assortment(
    locales=LOCALES[:1],
    categories=("Computers", "Equipment", "Footwear", "Furniture", "Photo", "Plants"),
    category_words=(
        (
            ("computer", "laptop", "monitor"),
            ("sports gear", "outdoor equipment", "training kit"),
            ("shoes", "sneakers", "running shoes"),
            ("furniture", "chair", "sofa"),
            ("camera", "lens", "photo gear"),
            ("plant", "house plant", "garden plants"),
        ),
    ),
    brands=_STOREFRONT_BRANDS,
    headlines=(
        (
            ("Made to last, easy to love", "Good to use, every single day", "Quality you notice at once"),
            ("Up to 30% off this week", "Great finds at a small price", "More for less money"),
            ("Only a few left in stock", "Last chance: ends tonight", "Selling fast, do not miss it"),
            ("Loved by 20,000 shoppers", "Our best seller of the season", "Rated five stars by customers"),
            ("Ready for something new?", "What are you missing?", "Looking for the right gift?"),
            (
                "You will not believe this trick",
                "The secret shops do not tell you",
                "One weird thing everyone buys now",
            ),
        ),
    ),
    reviews=(("The {word} is just as described", "Looks just like the photo", "Good value for the price"),),
    log_price=4.4,
    price_spread=1.6,
    catalogue=54,
)

ASSORTMENTS = {"fashion": FASHION, "storefront": STOREFRONT}

_STYLE_OF = {
    text: style
    for assortment in ASSORTMENTS.values()
    for locale in assortment.headlines
    for style, texts in enumerate(locale)
    for text in texts
}


def headline_style(text: str | None) -> int:
    """Code of the style of `text` in HEADLINE_STYLES; -1 (no effect) for an unknown headline."""
    return _STYLE_OF.get(text, -1)
