"""The simulated marketplace: shoppers, ads and clicks whose true probabilities are known.

Read `law.py` first: it states the law with its equations. `scenarios/*.yaml` hold the effect sizes and their sources.
Only `datasets`, `stages` and benchmarks may import this room.
"""

from components.world.photos import Photos
from components.world.scenario import Scenario, load_scenario, scenario_names
from components.world.simulate import simulate
from components.world.truth import ill_feedback_truth, truth

__all__ = ["Photos", "Scenario", "ill_feedback_truth", "load_scenario", "scenario_names", "simulate", "truth"]
