"""Why an ad is shown, in words: the facts that moved its score most, in English and Chinese.

A reason compares the shown ad with the mean of those that compete with it, in log-odds of a click
(models/fact_effects.py). Words name what the model knows: traits that shops give, such as a template or category.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.interest.calibrated_model import CalibratedModel, RequestEffects
from components.interest.model_protocol import Pairs
from components.interest.models.fact_effects import EVERYONE, GROUP, HOUR, PAST, PLACEMENT, TASTE, Fact, FactEffects
from components.interest.request_scorer import RequestRow

ENGLISH, CHINESE = "en", "zh"
SHOPPER, SEGMENT = "shopper", "segment"  # whom a reason is about
WHO = {SHOPPER: {ENGLISH: "this shopper", CHINESE: "该顾客"}, SEGMENT: {ENGLISH: "these shoppers", CHINESE: "这些顾客"}}
LIKE = {
    SHOPPER: {ENGLISH: "shoppers like this one", CHINESE: "与该顾客相似的顾客"},
    SEGMENT: {ENGLISH: "these shoppers", CHINESE: "这些顾客"},
}
LEAST_EFFECT = 0.01  # log-odds; 1 % of the odds is not worth a sentence
NOUNS = {  # element -> what it is called, with and without its value
    "template": ("the template {value}", "the template", "模板“{value}”", "模板"),
    "headline": ("the headline “{value}”", "the headline", "标题“{value}”", "标题"),
    "appeal": ("the headline's appeal ({value})", "the headline's appeal", "标题诉求（{value}）", "标题诉求"),
    "wording": ("the wording of the headline", "the wording of the headline", "标题措辞", "标题措辞"),
    "call_to_action": ("the call to action “{value}”", "the call to action", "行动号召“{value}”", "行动号召"),
    "palette": ("the palette {value}", "the palette", "配色“{value}”", "配色"),
    "category": ("the category {value}", "the category", "类别“{value}”", "类别"),
    "brand": ("the brand {value}", "the brand", "品牌“{value}”", "品牌"),
    "price": ("the price", "the price", "价格", "价格"),
    "text": ("the description", "the description", "商品描述", "商品描述"),
    "look": ("the look", "the look", "外观", "外观"),
    "product": ("the product", "the product", "商品", "商品"),
    "creative": ("this very ad", "this very ad", "这则广告本身", "这则广告本身"),
}
OTHER = ("{value}", "another trait of the ad", "{value}", "广告的另一特征")
SENTENCES = {  # about -> (if it speaks for the ad, if it speaks against it)
    EVERYONE: {
        ENGLISH: ("{noun} is clicked more than in the other ads", "{noun} is clicked less than in the other ads"),
        CHINESE: ("{noun}比其他广告更受点击", "{noun}不如其他广告受点击"),
    },
    TASTE: {
        ENGLISH: (
            "{noun} suits the tastes of {who} better than in the other ads",
            "{noun} suits the tastes of {who} less than in the other ads",
        ),
        CHINESE: ("{noun}比其他广告更符合{who}的喜好", "{noun}不如其他广告符合{who}的喜好"),
    },
    GROUP: {
        ENGLISH: (
            "{noun} works better with {like} than in the other ads",
            "{noun} works less with {like} than in the other ads",
        ),
        CHINESE: ("{noun}对{like}更有效", "{noun}对{like}效果较差"),
    },
    HOUR: {
        ENGLISH: ("{noun} works better at this hour than in the other ads", "{noun} works less at this hour"),
        CHINESE: ("{noun}在此时段更有效", "{noun}在此时段效果较差"),
    },
    PLACEMENT: {
        ENGLISH: ("{noun} works better at this place than in the other ads", "{noun} works less at this place"),
        CHINESE: ("{noun}在此版位更有效", "{noun}在此版位效果较差"),
    },
    PAST: {
        ENGLISH: (
            "what {who} saw and did before speaks for this ad more than for the others",
            "what {who} saw and did before speaks for this ad less than for the others",
        ),
        CHINESE: ("{who}此前的浏览和行为更支持这则广告", "{who}此前的浏览和行为不太支持这则广告"),
    },
}


@dataclass(frozen=True)
class Reason:
    """effect: log-odds of a click that the fact adds to the shown ad, against the mean of those that compete."""

    fact: Fact
    effect: float
    value: str
    who: str

    def text(self, language: str) -> str:
        """A sentence without a full stop. language: `en` or `zh`."""
        nouns = NOUNS.get(self.fact.element, OTHER)
        with_value, without = nouns[:2] if language == ENGLISH else nouns[2:]
        noun = with_value.format(value=self.value) if self.value else without
        sentence = SENTENCES[self.fact.about][language][0 if self.effect > 0 else 1]
        return sentence.format(noun=noun, who=WHO[self.who][language], like=LIKE[self.who][language])


def decision_reasons(
    model: CalibratedModel, pairs: Pairs, decision: np.ndarray, shown: np.ndarray, *, who: str = SHOPPER, most: int = 3
) -> list[tuple[Reason, ...]] | None:
    """The reasons of each decision, largest effect first: at most `most`, and only effects of LEAST_EFFECT or more.

    pairs: every eligible creative of each decision, paired with its impressions; decision: int64 [n], numbers from 0;
    shown: int64 [decisions], rows of `pairs.creatives`. None if the kind of model cannot give reasons.
    """
    found = model.fact_effects(pairs, decision, shown)
    if found is None:
        return None
    values = _Values(pairs.creatives)
    return [
        _reasons(FactEffects(found.facts, found.effects[[row]]), values, int(creative), who, most)
        for row, creative in enumerate(shown)
    ]


class RequestReasons:
    """`decision_reasons` of one request at a time: what a server computes, without tables."""

    def __init__(self, effects: RequestEffects, creatives: pd.DataFrame):
        """effects: CalibratedModel.facts_for_requests of these feature rows of creatives."""
        self._effects, self._values = effects, _Values(creatives)

    def of(
        self, request: RequestRow, creative: np.ndarray, values: np.ndarray, shown: int, most: int = 3
    ) -> tuple[Reason, ...]:
        """Why the creative at the place `shown` of n is shown: see `decision_reasons`.

        creative: rows int64 [n]; values: pair features float32 [n, r].
        """
        found = self._effects(request, creative, values, shown)
        return _reasons(found, self._values, int(creative[shown]), SHOPPER, most)


def _reasons(found: FactEffects, values: "_Values", creative: int, who: str, most: int) -> tuple[Reason, ...]:
    """Of the effects [1, facts] of one decision."""
    effects = found.effects[0]
    order = np.argsort(-np.abs(effects), kind="stable")[:most]
    return tuple(
        Reason(found.facts[place], float(effects[place]), values.of(found.facts[place].element, creative), who)
        for place in order
        if abs(effects[place]) >= LEAST_EFFECT
    )


class _Values:
    """What feature rows of creatives have of an element, by their 0/1 columns; each element is looked up once."""

    def __init__(self, creatives: pd.DataFrame):
        self._creatives = creatives
        self._texts: dict[str, Sequence[str]] = {}

    def of(self, element: str, row: int) -> str:
        """The values of a row; empty if it has none."""
        if element not in self._texts:
            self._texts[element] = _values(self._creatives, element)
        return self._texts[element][row]


def _values(creatives: pd.DataFrame, element: str) -> Sequence[str]:
    """What each creative has of `element`, by its 0/1 feature columns; empty if it has none."""
    prefix = f"creative_{element}:"
    columns = [name for name in creatives if name.startswith(prefix)]
    if element not in NOUNS or not columns:
        return [""] * len(creatives)
    names = np.array([name.removeprefix(prefix) for name in columns], dtype=object)
    has = creatives[columns].to_numpy() == 1
    return [", ".join(names[row]) for row in has]
