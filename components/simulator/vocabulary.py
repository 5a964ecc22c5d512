"""The names and texts that all simulated shops have in common: templates, palettes, styles, calls to action.

Codes are positions in these tuples. Texts about products are in assortments.py.
"""

LOCALES = ("en", "zh-CN")

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

CALLS_TO_ACTION = (
    ("Shop now", "See more", "Get yours", "Discover"),
    ("立即购买", "查看更多", "马上抢", "去看看"),
)

AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55+")
DEVICES = ("desktop", "mobile")
PLACEMENTS = ("home", "search", "product")

_CALL_OF = {text: code for locale in CALLS_TO_ACTION for code, text in enumerate(locale)}


def call_code(text: str | None) -> int:
    """Code of a call to action in CALLS_TO_ACTION, the same in both languages; -1 for an unknown one."""
    return _CALL_OF.get(text, -1)
