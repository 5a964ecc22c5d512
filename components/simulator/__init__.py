"""The simulated shops: shoppers, ads and clicks whose true probabilities are known.

Read `click_law.py` first: it states the click law with its equations. `scenarios/*.yaml` have the effect sizes and
their sources. Only `datasets`, `workflow`, `cli` and benchmarks may import this package.
"""

from components.simulator.photos.product_photos import Goods, Photos
from components.simulator.scenario import Scenario, load_scenario, scenario_names
from components.simulator.simulate import simulate
from components.simulator.truth import ill_feedback_truth, reward_truth, truth

__all__ = [
    "Goods",
    "Photos",
    "Scenario",
    "ill_feedback_truth",
    "load_scenario",
    "reward_truth",
    "scenario_names",
    "simulate",
    "truth",
]
