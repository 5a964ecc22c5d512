"""Plant defects in new ads, and count how many the admission finds and how many sound ads it refuses.

    python -m benchmarks.admission [--each N] [--clean N] [--lines N] [--seed N] [--small]

Twelve kinds of defects, `--each` of every kind (100), among `--clean` sound ads (1,000): product ads with the photos,
titles and prices of storefront (`adloom data build storefront`) in every design, palette and small size, English (`us`)
and Chinese (`cn`), and images of marketplace (Fashion-MNIST test photos) in place of generated ones. An ad passes if no
rule of `ADMISSION_RULES` and `PIXEL_RULES` refuses it, as in a run. The defects are made here, with this module's own
words, substitutions and arithmetic, and not with the code or the word lists of the rules. Recall is counted for every
rule; `named` is the share that a rule of the defect's own kind found.

Then `--lines` headlines (10,000) are written for products with traps: titles that claim something, prices that are
missing, list prices below the price, stocks of 0 and 11, ratings of 4.4. A claim that this module's own reading of the
facts does not back counts as ungrounded. --small: 4 of each kind, 40 sound ads, 200 lines. Ends with one line of JSON.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.admission_defects import DEFECTS, Scene, sound_ad, sound_images
from components.ads.copy.lines import lines_for
from components.ads.copy.product_facts import ProductFacts
from components.settings.environment import prepare

SMALL = {"each": 4, "clean": 40, "lines": 200}


@dataclass(frozen=True)
class Found:
    """What became of the ads with one kind of defect. refused: by any rule; named: by a rule of its own kind; false:
    sound ads that a rule of this kind refuses, of `clean`."""

    planted: int
    refused: int
    named: int
    false: int
    clean: int

    @property
    def recall(self) -> float:
        """Share of the planted defects that were refused."""
        return self.refused / self.planted

    @property
    def false_rate(self) -> float:
        """Share of the sound ads that were refused."""
        return self.false / self.clean


def measured(scene: Scene, each: int, clean: int) -> tuple[dict[str, Found], dict[str, int], list[str]]:
    """By kind of defect what was found; sound ads refused by rule; and examples of defects that passed."""
    sound = [sound_ad(scene) for _ in range(clean)]
    verdicts = [scene.verdict(ad) for ad in sound] + scene.image_verdicts(sound_images(scene, clean))
    refused = {
        rule: [one[0] for one in verdicts].count(rule) for rule in sorted({one[0] for one in verdicts if one[0]})
    }
    found, missed = {}, []
    for name, defect in DEFECTS.items():
        outcomes = defect.verdicts(scene, each)
        missed += [f"{name}: {about}" for about, rule, _ in outcomes if not rule][:3]
        false = sum(count for rule, count in refused.items() if rule in defect.rules)
        caught = [rule for _, rule, _ in outcomes if rule]
        found[name] = Found(len(outcomes), len(caught), sum(rule in defect.rules for rule in caught), false, clean)
    return found, refused, missed


TRAPS = (
    "Best Price Camera",
    "Free Gift Mug",
    "No. 1 Lamp",
    "50% off Hoodie",
    "Last Chance Jacket",
    "Only 2 left Chair",
    "Top-rated Kettle",
    "Bestseller Tent",
    "最佳手机",
    "全网第一耳机",
    "限时特价外套",
    "买一送一袜子",
    "New Arrivals Box",
)
PLAIN = ("Wool Coat", "Running Shoe 42", "Desk Lamp", "橡木餐椅", "针织外套", "32-Inch Monitor", "Bonsai Tree")


def trapped_facts(random: np.random.Generator) -> ProductFacts:
    """Facts of a product, some of which look as if they backed a claim."""
    titles = TRAPS if random.random() < 0.3 else PLAIN
    price = [None, 19.99, 1245.0, 80.0][random.integers(4)]
    factor = [None, 0.8, 1.0, 1.004, 1.25, 2.0][random.integers(6)]
    return ProductFacts(
        title=titles[random.integers(len(titles))],
        brand=[None, "Acme", "Best Brand", "Nº1"][random.integers(4)],
        category=["coats", "外套", "Free gifts"][random.integers(3)],
        price=price,
        list_price=None if price is None or factor is None else price * factor,
        rating=[None, 4.4, 4.5, 4.8][random.integers(4)],
        stock=[None, 1.0, 10.0, 11.0, 300.0][random.integers(5)],
        bestseller=bool(random.random() < 0.3),
        new=bool(random.random() < 0.3),
    )


NEVER = r"best(?!seller)|free|no\.? ?1|nº1|last chance|最佳|第一|特价|限时|买一送一"


def ungrounded(line: str, facts: ProductFacts) -> bool:
    """Whether a line claims what the facts do not back, by this module's reading."""
    text = line.lower()
    if re.search(NEVER, text):
        return True
    off = [float(one) for one in re.findall(r"(\d+(?:\.\d+)?)%", text)]
    has_discount = facts.price is not None and facts.list_price is not None and facts.list_price > facts.price
    saved = 100 * (1 - facts.price / facts.list_price) if has_discount else 0.0
    left = re.search(r"only (\d+) left|仅剩(\d+)件", text)
    pieces = None if left is None else float(left[1] or left[2])
    stars = re.search(r"rated (\d\.\d)|评分(\d\.\d)", text)
    rated = None if stars is None else float(stars[1] or stars[2])
    rated = 4.5 if rated is None and "top-rated" in text else rated
    prices = [float(one.replace(",", "")) for one in re.findall(r"€\s?(\d[\d,]*\.?\d*)", text)]
    return (
        any(share > saved + 0.5 for share in off)
        or (pieces is not None and (pieces != facts.stock or pieces > 10))
        or (rated is not None and (facts.rating is None or facts.rating < 4.5 or rated > facts.rating))
        or (("bestseller" in text or "热销" in text) and not facts.bestseller)
        or (bool(re.search(r"^new:|just in|new arrivals|新品", text)) and not facts.new)
        or any(facts.price is None or abs(price - facts.price) > 0.005 for price in prices)
    )


def written_lines(count: int, seed: int) -> Iterator[tuple[str, ProductFacts]]:
    """`count` written headlines, and the facts of their products."""
    random, made = np.random.default_rng(seed), 0
    while made < count:
        facts = trapped_facts(random)
        for line in lines_for(facts, ("en", "zh-CN")[random.integers(2)], "EUR"):
            if made < count:
                made += 1
                yield line, facts


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--clean", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    sizes = SMALL if given.small else {"each": given.each, "clean": given.clean, "lines": given.lines}
    prepare()
    scene = Scene.read(given.seed)
    found, refused, missed = measured(scene, sizes["each"], sizes["clean"])
    wrong = [line for line, facts in written_lines(sizes["lines"], given.seed) if ungrounded(line, facts)]
    for name, one in found.items():
        print(f"{name:32} recall {one.recall:.2f}  named {one.named / one.planted:.2f}  false {one.false_rate:.3f}")
    print("sound ads refused, by rule:", refused or "none")
    for line in (*missed, *(f"ungrounded: {line}" for line in wrong[:5])):
        print(line)
    kinds = {
        name: {"recall": one.recall, "named": one.named / one.planted, "false": one.false_rate}
        for name, one in found.items()
    }
    total = {"refused": sum(refused.values()) / (2 * sizes["clean"]), "lines": sizes["lines"], "ungrounded": len(wrong)}
    print(json.dumps({"seed": given.seed, "kinds": kinds, **total}))


if __name__ == "__main__":
    main()
