"""Words chosen for a context: what is compared, and what the law of a simulated shop says of the choice."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import yaml

from components.ads.copy import copy_choice
from components.ads.copy.copy_choice import Context, CopyChooser, combinations, wordings
from components.features import build_features, fit_features
from components.features.products.creative_features import COPY_COLUMNS
from components.images import decode
from components.interest import train_interest
from components.interest.segment_scores import draw_audience
from components.settings.sections import FeaturesConfig, InterestConfig, SimulatorConfig
from components.simulator import load_scenario, truth
from components.simulator.simulate import simulate

# log-odds of a click that the shop adds, beside its law: where a template is shown matters
PLANTED = {("home", "badge"): 0.8, ("home", "split"): -0.8, ("product", "badge"): -0.8, ("product", "split"): 0.8}
SEGMENTS = 2
CAMPAIGN = {
    "campaign": "c",
    "brand_color": None,
    "headline": ["a", "b", "c"],
    "call_to_action": [],
    "template": ["plain", "badge"],
    "palette": ["mono"],
}


@dataclass(frozen=True)
class Shop:
    """A shop with strong hours and places; `truth_of` asks its law."""

    config: SimulatorConfig
    tables: dict
    chooser: CopyChooser
    later: pd.DataFrame

    def truth_of(self, words: pd.DataFrame, campaign: str, at: Context, segment: int) -> np.ndarray:
        """Words [n] -> true click-through around one product's picture, over the segment's later impressions: [n]."""
        own = self.tables["creatives"].query("campaign == @campaign").iloc[[0] * len(words)]
        ids = [f"new-{row}" for row in range(len(words))]
        new = own.reset_index(drop=True).assign(creative_id=ids, **{word: words[word].array for word in COPY_COLUMNS})
        log = self.later[self.later["segment"] == segment].sample(200, random_state=0).drop(columns="segment")
        log = log if at.hour is None else log.assign(context_local_hour=at.hour)
        log = log if at.placement is None else log.assign(placement=at.placement)
        creatives = pd.concat([self.tables["creatives"], new], ignore_index=True)
        click = truth(self.config, {**self.tables, "creatives": creatives, "impressions": log})
        pairs = log[["impression_id", "placement"]].merge(new[["creative_id", "template"]], how="cross")
        return planted(click(pairs), pairs).groupby(pairs["creative_id"]).mean().reindex(ids).to_numpy()


def planted(probability: np.ndarray, rows: pd.DataFrame) -> pd.Series:
    added = np.array([PLANTED.get(key, 0.0) for key in zip(rows["placement"], rows["template"], strict=True)])
    return pd.Series(1 / (1 + np.exp(-np.log(probability / (1 - probability)) - added)), rows.index)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, few_photos):
    scenario = tmp_path_factory.mktemp("world") / "hours.yaml"
    strong = {"palette_hour": 0.8}
    said = {"extends": "baseline", "id": "hours", "definition": "palettes have hours", "click_rate": 0.1}
    scenario.write_text(yaml.safe_dump({**said, "effects": strong}))
    sizes = {"shoppers": 1000, "campaigns": 1, "creatives_per_campaign": 40, "events": 4000, "impressions": 25_000}
    config = SimulatorConfig(scenario=str(scenario), seed=5, days=8, **sizes)
    tables = simulate(config, load_scenario(str(scenario)), few_photos)
    log = tables["impressions"]
    shown = log.merge(tables["creatives"][["creative_id", "template"]], on="creative_id", how="left")
    chance = planted(truth(config, tables)(shown), shown).to_numpy()
    click = (np.random.default_rng(0).random(len(log)) < chance).astype(np.int64)
    tables = {**tables, "impressions": log.assign(click=click)}
    settings = FeaturesConfig(segments=SEGMENTS, text_dimensions=4, image_dimensions=4)
    model = fit_features(tables, settings)
    built = build_features(model, tables, settings)
    interest = train_interest(built, InterestConfig(models=("logistic",), bootstrap=20)).champion
    late = built.impressions.loc[built.impressions["split"] == "judge", ["impression_id", "segment"]]
    later = tables["impressions"].merge(late, on="impression_id")
    return Shop(config, tables, CopyChooser(interest, model, draw_audience(built, SEGMENTS, 60, seed=0)), later)


AT = {
    "night": Context(None, 3),
    "noon": Context(None, 12),
    "home": Context("home", None),
    "product": Context("product", None),
    "home at night": Context("home", 3),
}
ELSEWHERE = {"night": Context(None, None), "product": AT["home"]}


@pytest.mark.slow
@pytest.mark.parametrize("segment", range(SEGMENTS))
@pytest.mark.parametrize("name", AT)
def test_what_is_chosen_for_a_context_truly_earns_more_there(shop, name, segment):
    """By the law it earns more than the average composition, and at night more than twice what the one chosen
    without a context earns there, and on product pages more than twice what the one chosen for the home page does (the
    one chosen without a context may suit a page by chance)."""
    picture, random = decode(shop.tables["images"]["image"].iloc[0]), np.random.default_rng(1)
    campaign = wordings(shop.tables)[0]
    chosen, other = (
        shop.chooser.choose(picture, "bag", segment, campaign, at, random=random)
        for at in (AT[name], ELSEWHERE.get(name, Context(None, None)))
    )
    every = combinations(campaign, random).sample(100, random_state=0)
    words = pd.concat([pd.DataFrame([chosen.words, other.words]), every], ignore_index=True)
    best, elsewhere, *others = shop.truth_of(words, campaign["campaign"], AT[name], segment)
    assert best > 1.15 * np.mean(others)
    assert chosen.expected > chosen.average and chosen.expected >= 0.999999 * chosen.unaware
    if name in ELSEWHERE:
        assert best > 2 * elsewhere
    if name == "night":
        assert chosen.expected > 1.2 * chosen.unaware


def test_every_combination_of_a_campaigns_words_is_compared_once():
    rows = combinations(CAMPAIGN, np.random.default_rng(0))
    assert len(rows) == 6 and not rows.duplicated().any()
    assert rows["call_to_action"].isna().all() and set(rows["headline"]) == {"a", "b", "c"}


def test_of_too_many_combinations_some_are_drawn(monkeypatch):
    monkeypatch.setattr(copy_choice, "MAX_COMBINATIONS", 4)
    one, same, other = (combinations(CAMPAIGN, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert len(one) == 4 and not one.duplicated().any()
    assert one.equals(same) and not one.equals(other)


def test_words_are_those_of_people_and_stay_with_their_campaign():
    creatives = pd.DataFrame(
        {
            "campaign": ["b", "a", "a", "a"],
            "origin": ["people", "people", "people", "vae-1"],
            "headline": ["late", "new", "big", "made up"],
            "call_to_action": [None, "go", "go", "go"],
            "template": ["plain", "badge", "plain", "split"],
            "palette": ["mono", "mono", None, "warm"],
        }
    )
    campaigns = pd.DataFrame({"campaign": ["a", "b", "idle"], "brand_color": ["#ffffff", None, None]})
    campaigns = campaigns.assign(locale=["en", "zh-CN", "en"])
    first, second = wordings({"creatives": creatives, "campaigns": campaigns})
    assert first == {
        **{"campaign": "a", "brand_color": "#ffffff", "headline": ["big", "new"], "call_to_action": ["go"]},
        **{"template": ["badge", "plain"], "palette": ["mono"], "marks": ("AI generated image",)},
    }
    assert (second["campaign"], second["brand_color"], second["call_to_action"]) == ("b", None, [])
