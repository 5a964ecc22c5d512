"""The texts of the marketplace in its two languages: categories, brands, headlines, calls to action, queries.

Codes are positions in these tuples. The style of a headline is not in the data; models must learn it from its words, as
in any shop.
"""

LOCALES = ("en", "zh-CN")

# The ten categories of Fashion-MNIST, in the order of its labels.
CATEGORIES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")

# By locale and category: words for the category; titles use the first one, queries all of them.
CATEGORY_WORDS = (
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
)

BRANDS = (
    "Alder", "Birke", "Corvo", "Dune", "Estrel", "Fjord", "Gala", "Hanmo", "Indigo", "Jade", "Kestrel", "Lumen",
)  # fmt: skip

# One adjective per price band, from cheap to expensive.
ADJECTIVES = (
    ("everyday", "casual", "classic", "premium", "designer"),
    ("日常", "休闲", "经典", "高级", "设计师款"),
)

DESCRIPTIONS = (
    "{adjective} {word} by {brand}, made to be worn often",
    "{brand}{adjective}{word},舒适耐穿",
)

TEMPLATES = ("plain", "badge", "split", "lifestyle", "price-tag")
PALETTES = ("mono", "warm", "cool", "pastel", "vivid")

HEADLINE_STYLES = ("benefit", "price", "urgency", "social-proof", "question", "clickbait")
CLICKBAIT = HEADLINE_STYLES.index("clickbait")

# [locale][style] -> headlines of one style.
HEADLINES = (
    (
        ("Comfort that lasts all day", "Soft, light and made to last", "Fits you from morning to night"),
        ("Up to 30% off this week", "Great style at a small price", "More fashion for less money"),
        ("Only a few left in your size", "Last chance: ends tonight", "Selling fast, do not miss it"),
        ("Loved by 20,000 shoppers", "Our best seller of the season", "Rated five stars by customers"),
        ("Ready for a new look?", "What will you wear tomorrow?", "Looking for your perfect fit?"),
        ("You will not believe this trick", "The secret shops do not tell you", "One weird thing everyone wears now"),
    ),
    (
        ("全天舒适不紧绷", "轻柔面料经久耐穿", "从早到晚都合身"),
        ("本周低至七折", "好看不贵一件到手", "花更少穿更好"),
        ("你的尺码仅剩几件", "最后机会今晚截止", "热卖中手慢无"),
        ("两万人都说好", "当季销量冠军", "顾客五星好评"),
        ("想换个新造型吗?", "明天穿什么?", "还在找合身的款式?"),
        ("看完你绝对不敢相信", "商家不会告诉你的秘密", "所有人都在偷偷穿的神物"),
    ),
)

CALLS_TO_ACTION = (
    ("Shop now", "See more", "Get yours", "Discover"),
    ("立即购买", "查看更多", "马上抢", "去看看"),
)

REVIEWS = (
    ("Lovely {word}, fits well", "The {word} looks just like the photo", "Good {word} for the price"),
    ("{word}很好看,很合身", "{word}和图片一样", "这个价格的{word}很值"),
)

AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55+")
DEVICES = ("desktop", "mobile")
PLACEMENTS = ("home", "search", "product")

_STYLE_OF = {text: style for locale in HEADLINES for style, texts in enumerate(locale) for text in texts}
_CALL_OF = {text: code for locale in CALLS_TO_ACTION for code, text in enumerate(locale)}


def headline_style(text: str | None) -> int:
    """Code of the style of `text` in HEADLINE_STYLES; -1 (no effect) for an unknown headline."""
    return _STYLE_OF.get(text, -1)


def call_code(text: str | None) -> int:
    """Code of a call to action in CALLS_TO_ACTION, the same in both languages; -1 for an unknown one."""
    return _CALL_OF.get(text, -1)
