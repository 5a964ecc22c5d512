"""The true mean reward of any (impression, creative) of a simulated marketplace, only for checking estimates.

Latent variables are drawn again from seed and scenario; traits, times and exposures come from the logged tables. So a
generated creative has the traits of its image and texts, in each impression's logged state and time.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.settings.errors import UserError
from components.settings.sections import SimulatorConfig
from components.simulator.catalogue import DAY, START
from components.simulator.click_law import (
    Law,
    Situation,
    click_probability,
    conversion_probability,
    exposures_before,
    ill_feedback_probability,
)
from components.simulator.law_traits import Traits, creative_traits
from components.simulator.market import latent_law, look_of
from components.simulator.scenario import load_scenario

Truth = Callable[[pd.DataFrame], np.ndarray]


def truth(config: SimulatorConfig, tables: dict[str, pd.DataFrame]) -> Truth:
    """The true click probability as a function of pairs, for the marketplace of `config`.

    tables: those of the data set, validated or not; generated creatives and images may be added. The function takes a
    DataFrame with `impression_id` and `creative_id` [n_pairs] and returns float64 [n_pairs] in (0, 1).
    """
    return _truth_of(config, tables, click_probability)


def _conversions(law: Law, traits: Traits, at: Situation) -> np.ndarray:
    """P(conversion = 1) of an impression, equations (1) and (7): float64 [n] in [0, 1); bots buy nothing."""
    bought = click_probability(law, traits, at) * conversion_probability(law, traits, at.shopper, at.creative)
    return np.where(law.shoppers.bot[at.shopper], 0.0, bought)


# reward -> true mean reward of an impression; for revenue, the probability that the product's price is paid
REWARD_PROBABILITIES = {"click": click_probability, "conversion": _conversions, "revenue": _conversions}


def reward_truth(
    config: SimulatorConfig, tables: dict[str, pd.DataFrame], reward: str, window_days: int
) -> Truth | None:
    """As `truth`, for the mean of the reward `reward`; None if the law does not define it.

    window_days: in which conversions count; the law defines them for the scenario's window only.
    """
    known_days = load_scenario(config.scenario).conversion.window_days
    if reward not in REWARD_PROBABILITIES or (reward != "click" and window_days != known_days):
        return None
    chance = _truth_of(config, tables, REWARD_PROBABILITIES[reward])
    if reward != "revenue":
        return chance
    products = tables["products"].set_index("product_id")["price"]
    price = tables["creatives"].set_index("creative_id")["product_id"].map(products).fillna(0.0)
    return lambda pairs: chance(pairs) * price.reindex(pairs["creative_id"]).to_numpy()


def ill_feedback_truth(config: SimulatorConfig, tables: dict[str, pd.DataFrame]) -> Truth:
    """As `truth`, for the probability that the impression is hidden or reported: float64 [n_pairs] in [0, 1)."""
    return _truth_of(config, tables, ill_feedback_probability)


def _truth_of(
    config: SimulatorConfig, tables: dict[str, pd.DataFrame], chance: Callable[[Law, Traits, Situation], np.ndarray]
) -> Truth:
    """`chance`, a probability of the law, as a function of pairs."""
    scenario = load_scenario(config.scenario)
    law = latent_law(config, scenario)
    creatives, log = tables["creatives"], tables["impressions"]
    traits = creative_traits(creatives, tables["products"], tables["images"], look_of(tables["images"]), scenario.sells)
    shopper = positions(log["shopper_id"], pa.array(law.shoppers.ids), "shopper_id")
    elapsed = (log["timestamp"].dt.tz_convert(None) - pd.Timestamp(START)).dt.as_unit("us").to_numpy().astype(np.int64)
    moment = elapsed // 1000
    shown = shopper, traits.subject[positions(log["creative_id"], creatives["creative_id"], "creative_id")], moment
    position, hour = log["position"].to_numpy(np.int64), log["context_local_hour"].to_numpy(np.int64)
    day = elapsed // (DAY // np.timedelta64(1, "us"))

    def probability(pairs: pd.DataFrame) -> np.ndarray:
        row = positions(pairs["impression_id"], log["impression_id"], "impression_id")
        creative = positions(pairs["creative_id"], creatives["creative_id"], "creative_id")
        queried = shopper[row], traits.subject[creative], moment[row]
        exposures = exposures_before(shown, queried, scenario.exposure.fatigue_window_days)
        return chance(law, traits, Situation(shopper[row], creative, position[row], hour[row], day[row], exposures))

    return probability


def positions(values: pd.Series, keys: pd.Series | pa.Array, name: str) -> np.ndarray:
    """Row of each value in `keys`, int64. Arrow hashes millions of strings in a second, an object Index in ten."""
    rows = pc.index_in(pa.array(values, pa.large_string()), value_set=pa.array(keys, pa.large_string()))
    if rows.null_count:
        unknown = values.iloc[int(np.flatnonzero(rows.is_null().to_numpy(zero_copy_only=False))[0])]
        raise UserError(f"{name} {unknown!r} is not in the marketplace of this seed and scenario")
    return rows.to_numpy().astype(np.int64)
