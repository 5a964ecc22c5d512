"""Fast simulation of marketplace logs with a trained target policy and the true click probability of every pair.

The market of a scenario is fixed; replicates redraw requests, shown creatives and clicks of its last 14 days. The
target policy is trained, as in the flow, on an earlier log: the first 14 days, with another seed.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from components.datasets.fashion_mnist import load_photos
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies import Choices, Softmax
from components.policies.ragged_rows import row_sums
from components.settings.sections import SimulatorConfig
from components.simulator import load_scenario, vocabulary
from components.simulator.ad_day import NO_EXPOSURES, DayDecisions, Exposures, decide_day, simulate_ads
from components.simulator.assortments import FASHION
from components.simulator.click_law import Situation, click_probability, exposures_before
from components.simulator.logging_policy import MILLION
from components.simulator.market import Market, open_market
from components.simulator.randomness import IMPRESSIONS, generator

LEARNS, JUDGES = range(0, 14), range(14, 28)
TRAINING_SEED = 7_000_000  # of the target policy's own log; replicates use small seeds
HOUR_BIN = 6


@dataclass(frozen=True)
class Trial:
    """One log; target: the target policy's probabilities, rate: true click probabilities, float64 [n_pairs] each."""

    log: LoggedDecisions
    target: np.ndarray
    rate: np.ndarray
    bot: np.ndarray  # bool [n], whether the simulated shopper is a bot
    impressions: pd.DataFrame | None = None  # the contract's table, only from `trial_with_table`

    def truth(self, policy: np.ndarray) -> float:
        """The true value of `policy`: the mean over the logged rows of sum_a pi(a|x) p(click|x, a, state)."""
        return float(row_sums(policy * self.rate, self.log.offsets).mean())


@dataclass(frozen=True)
class Arena:
    """A scenario's market, and the target policy: its coefficients per level of `crossings`, and its softmax."""

    market: Market
    tables: tuple[np.ndarray, ...]  # effect of each level of each crossing
    intercept: float
    policy: Softmax

    def trial(self, seed: int) -> Trial:
        """The replicate `seed`."""
        market = self.seeded(seed)
        rows = draw_rows(market, JUDGES)
        levels = crossings(market, rows)
        logit = self.intercept + sum(table[level] for table, level in zip(self.tables, levels, strict=True))
        score = 1 / (1 + np.exp(-logit))
        target = self.policy.probabilities(Choices(rows.log.offsets, score))
        return Trial(replace(rows.log, score=score), target, rows.rate, rows.bot)

    def trial_with_table(self, seed: int) -> Trial:
        """The replicate `seed`, with its table of impressions."""
        market, shown, tables = self.seeded(seed), NO_EXPOSURES, []
        for day in JUDGES:
            ads = simulate_ads(market, day, shown, market.policy, market.policy.name)
            shown = shown.extended_by(ads.shown)
            tables.append(ads.impressions)
        return replace(self.trial(seed), impressions=pd.concat(tables, ignore_index=True))

    def seeded(self, seed: int) -> Market:
        """The market that draws the replicate `seed`."""
        return replace(self.market, config=self.market.config.model_copy(update={"seed": seed}))


@dataclass(frozen=True)
class Rows:
    """A log, the true click probability and the codes of its pairs (int64 [n_pairs]); `at`: the pairs' situations."""

    log: LoggedDecisions
    rate: np.ndarray
    age: np.ndarray
    mobile: np.ndarray
    hour: np.ndarray
    bot: np.ndarray  # bool [n]
    at: Situation


def arena(scenario: str, impressions: int, temperature: float = 0.1, training: int = 200_000) -> Arena:
    """The scenario's market with `impressions` per log, and a policy trained on `training` earlier ones."""
    config = SimulatorConfig(scenario=scenario, impressions=2 * training, seed=SimulatorConfig().seed)
    market = open_market(config, load_scenario(scenario), _photos())
    learning = replace(market, config=config.model_copy(update={"seed": TRAINING_SEED}))
    tables, intercept = _learn(learning, draw_rows(learning, LEARNS))
    sized = replace(market, config=config.model_copy(update={"impressions": 2 * impressions}))
    return Arena(sized, tables, intercept, Softmax(temperature, 0.05))


@cache
def _photos():
    return load_photos().head(6000, 500)


def draw_rows(market: Market, days: range) -> Rows:
    """One log of `days` by the market's logging policy, with the true click probability of every candidate."""
    shown, drawn = NO_EXPOSURES, []
    for day in days:
        decided = decide_day(market, day, shown, market.policy, generator(market.config.seed, IMPRESSIONS, day))
        shown = shown.extended_by(decided.shown)
        drawn.append(decided)
    return _rows(market, drawn, np.repeat(days, [len(decided.click) for decided in drawn]), shown)


def _rows(market: Market, drawn: list[DayDecisions], day: np.ndarray, shown: Exposures) -> Rows:
    shortlist, millionths = (
        np.concatenate([getattr(decisions, name) for decisions in drawn]) for name in ("shortlist", "millionths")
    )
    listed = shortlist >= 0
    action, counts = shortlist[listed], listed.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    owner = np.repeat(np.arange(len(shortlist)), counts)
    creative = np.concatenate([decisions.creative for decisions in drawn])
    hour, position, mobile = (
        np.concatenate([getattr(decisions.requests, name) for decisions in drawn])
        for name in ("hour", "position", "mobile")
    )
    window = market.law.scenario.exposure.fatigue_window_days
    query = shown.shopper[owner], market.traits.subject[action], shown.moment[owner]
    exposures = exposures_before(shown.columns, query, window)
    at = Situation(shown.shopper[owner], action, position[owner], hour[owner], day[owner], exposures)
    age = market.law.shoppers.age_band[shown.shopper]
    log = LoggedDecisions(
        impression=np.arange(len(shortlist)),
        offsets=offsets,
        action=action,
        logged=np.flatnonzero(action == creative[owner]),
        propensity=np.concatenate([decisions.chance for decisions in drawn]),
        reward=np.concatenate([decisions.click for decisions in drawn]).astype(float),
        cluster=np.unique(shown.shopper, return_inverse=True)[1],
        action_names=market.catalogue.creatives["creative_id"].to_numpy(dtype=object),
        context=_context(market, shown.shopper, age=age, mobile=mobile, hour=hour, position=position),
        logging=millionths[listed] / MILLION,
        action_features=_action_features(market),
    )
    rate = click_probability(market.law, market.traits, at)
    return Rows(log, rate, age[owner], mobile[owner], hour[owner], market.law.shoppers.bot[shown.shopper], at)


def _context(
    market: Market, shopper: np.ndarray, *, age: np.ndarray, mobile: np.ndarray, hour: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """The logged context float64 [n, d] of n impressions: device, membership, language, position, age band, hour."""
    people, part_of_day = market.law.shoppers, hour // HOUR_BIN
    codes = [mobile, people.member[shopper], people.locale[shopper], np.log(position)]
    codes += [age == band for band in range(1, len(vocabulary.AGE_BANDS))]
    codes += [part_of_day == part for part in range(1, 24 // HOUR_BIN)]
    return np.column_stack(codes).astype(float)


def _action_features(market: Market) -> np.ndarray:
    """Action features float64 [m, k]: the shop's prior score and one column per level of each creative's elements."""
    creatives = market.catalogue.creatives
    elements = pd.get_dummies(creatives[["template", "palette"]].astype(str), drop_first=True)
    style = pd.get_dummies(pd.Series(market.traits.headline), prefix="headline", drop_first=True)
    prior = creatives["feature_prior"].to_numpy()[:, None]
    return np.column_stack([prior, elements.to_numpy(), style.to_numpy()]).astype(float)


def crossings(market: Market, rows: Rows) -> tuple[np.ndarray, ...]:
    """Codes int64 [n_pairs] of the crossed features for which the target policy has coefficients."""
    traits, action = market.traits, rows.log.action
    templates, styles, palettes = len(vocabulary.TEMPLATES), len(vocabulary.HEADLINE_STYLES), len(vocabulary.PALETTES)
    return (
        action,
        rows.age * templates + traits.template[action],
        rows.age * styles + traits.headline[action],
        rows.mobile * templates + traits.template[action],
        (rows.hour // HOUR_BIN) * palettes + traits.palette[action],
        rows.age * len(FASHION.categories) + traits.category[action],
    )


def _learn(market: Market, rows: Rows) -> tuple[tuple[np.ndarray, ...], float]:
    """Ridge-penalised logistic regression of clicks on the crossings and the context."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import LogisticRegression

    levels = crossings(market, rows)
    sizes = [int(level.max()) + 1 for level in levels]
    shown = rows.log.logged
    ones, row = np.ones(rows.log.n), np.arange(rows.log.n)
    blocks = [csr_matrix((ones, (row, level[shown])), (rows.log.n, size)) for level, size in zip(levels, sizes)]  # noqa: B905
    prior = market.catalogue.creatives["feature_prior"].to_numpy()
    scale = 5.0  # the prior is informative: scaled up, it is penalised less
    dense = np.column_stack([scale * prior[rows.log.action[shown]], rows.log.context])
    features = hstack([*blocks, csr_matrix(dense)]).tocsr()
    model = LogisticRegression(C=1 / 16, max_iter=200).fit(features, rows.log.reward)
    *tables, others = np.split(model.coef_[0], np.cumsum(sizes))
    tables[0] = tables[0] + others[0] * scale * prior
    return tuple(tables), float(model.intercept_[0])
