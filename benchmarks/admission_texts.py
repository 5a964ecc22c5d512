"""The texts of `benchmarks.admission`: sound ones, and defects in words of its own, by locale."""

import unicodedata

CALLS = {"en": ("Shop now", "Discover", "See more", "Get yours"), "zh-CN": ("立即购买", "了解详情", "去看看")}
HEADLINES = {
    "en": (
        "Made to last, easy to love",
        "Good to use, every day",
        "What are you missing?",
        "Quality you notice",
        "Looking for the right gift?",
        "For mornings and evenings",
        "Simple, sturdy, yours",
        "A better desk starts here",
        "Light enough to carry",
        "Ready for the weekend?",
        "Think small",
        "Comes in three colours",
        "Work from anywhere",
    ),
    "zh-CN": (
        "轻柔面料经久耐穿",
        "从早到晚都合身",
        "想换个新造型吗?",
        "简单好用",
        "为日常而生",
        "送给自己的礼物",
        "轻巧便携",
        "每天都用得上",
        "舒适自在",
        "细节看得见",
    ),
}
LONG = {
    "en": ("an unusually long headline about everything in the shop ", "Donaudampfschifffahrtsgesellschaftskapitaen"),
    "zh-CN": ("这是一条特别长的标题讲述店里所有商品的故事和细节并且还在继续",),
}
# claims that no table of storefront backs: it has no list prices, ratings or stocks
CLAIMS = {
    "en": (
        *("Save 40% today", "Half price: {title}", "30 % off all week", "Now cheaper than ever", "{title} for €1.00"),
        *("Prices slashed", "A steal at this price", "Only 3 left", "Selling out fast", "Stock is running low"),
        *("Going, going, gone", "Nearly sold out", "Rated 4.9/5", "★★★★★ {title}", "Customers give it five stars"),
        *("Top rated in tests", "The best {title} ever", "No. 1 choice", "The cheapest {title}", "Nobody beats this"),
        *("Unmatched quality", "The world's finest", "Loved by 10,000 people", "Everyone wants one"),
        *("Free delivery on {title}", "Free gift inside", "Last day to buy", "Ends at midnight", "Brand new: {title}"),
        *("Award-winning design", "Was €99, now €49", "Lowest price guaranteed"),
    ),
    "zh-CN": (
        *(
            "全场五折",
            "直降200元",
            "跳楼价",
            "限时抢购",
            "仅剩3件",
            "库存告急",
            "马上售罄",
            "五星好评",
            "评分4.9",
            "销量第一",
        ),
        *(
            "史上最低价",
            "最好的选择",
            "无与伦比的品质",
            "免费送货",
            "买一送一",
            "今晚截止",
            "最后一天",
            "全新上市新品",
            "千万人的选择",
        ),
        *("人手一件", "获奖设计", "顶级工艺", "原价999元，现价1元", "比别家便宜", "独家首发", "网红同款"),
    ),
}
POPULAR = {"en": ("A bestseller", "Our most popular {title}"), "zh-CN": ("本店热销", "人气爆款")}  # of other products
BANNED = {  # by the law of the market, not read from the files of the rules
    "en": (
        "click here",
        "clinically proven",
        "doctor recommended",
        "results guaranteed",
        "risk-free",
        "made in USA",
        "carbon neutral",
        "eco-friendly",
        "FDA approved",
        "you have won",
        "as seen on TV",
        "miracle cure",
    ),
    "zh-CN": (
        "国家级",
        "最高级",
        "最佳",
        "第一",
        "唯一",
        "顶级",
        "极致",
        "世界级",
        "首选",
        "独一无二",
        "史无前例",
        "万能",
    ),
}
CYRILLIC = str.maketrans("aceopxyiABCEHKMOPTX", "асеорхуіАВСЕНКМОРТХ")
GREEK = str.maketrans("oviAEHIKMNOPTXYZ", "ονιΑΕΗΙΚΜΝΟΡΤΧΥΖ")
LEET = str.maketrans("oilesa", "011354")
CHINESE = str.maketrans(
    {"佳": "隹", "第": "笫", "国": "國", "级": "級", "顶": "頂", "极": "極", "选": "選", "独": "獨", "无": "無"}
)


def _full_width(text: str) -> str:
    return "".join(
        chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else "\u3000" if sign == " " else sign for sign in text
    )


def _bold(text: str) -> str:
    def one(sign: str) -> str:
        if not (sign.isascii() and sign.isalpha()):
            return sign
        return unicodedata.lookup(f"MATHEMATICAL BOLD {'CAPITAL' if sign.isupper() else 'SMALL'} {sign.upper()}")

    return "".join(map(one, text))


def _circled(text: str) -> str:
    return "".join(chr(0x24D0 + ord(sign) - 97) if "a" <= sign <= "z" else sign for sign in text)


def _accented(text: str) -> str:
    return text.replace("e", "é").replace("a", "ä").replace("i", "ï").replace("o", "ö")


DISGUISES = {
    "en": (
        lambda word: word.translate(CYRILLIC),
        lambda word: word.translate(GREEK),
        lambda word: word.translate(LEET),
        _full_width,
        _bold,
        _circled,
        _accented,
        lambda word: "\u200b".join(word),
        lambda word: word[:3] + "\u00ad" + word[3:],
        lambda word: "  ".join(" ".join(part) for part in word.split(" ")),
        lambda word: " ".join(".".join(part) for part in word.split(" ")),
        lambda word: " ".join("-".join(part) for part in word.split(" ")),
        lambda word: word.replace("i", "l"),
    ),
    "zh-CN": (
        lambda word: word.translate(CHINESE),
        " ".join,
        "\u200b".join,
        "-".join,
        "*".join,
        ".".join,
        "\u3000".join,
    ),
}
