"""Run in the peers' environment: obp's six estimators and bootstrap on arrays in an .npz, values and seconds as JSON.

.adloom/peers/bin/python benchmarks/peers/obp_times.py ARRAYS.npz REPLICATES
"""

import importlib
import importlib.util
import json
import sys
import time
from types import ModuleType

import numpy as np


def estimators_of_obp() -> ModuleType:
    """`obp.ope.estimators` alone: the packages' own __init__ would import PyTorch and plotting.

    The estimators' NumPy methods use nothing of PyTorch but the name of its Tensor, in annotations.
    """
    torch = ModuleType("torch")
    torch.Tensor = np.ndarray
    sys.modules.setdefault("torch", torch)
    root = importlib.util.find_spec("obp").submodule_search_locations[0]
    for name, folder in (("obp", root), ("obp.ope", f"{root}/ope")):
        package = ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package
    return importlib.import_module("obp.ope.estimators")


def main() -> None:
    """Run and print the line of JSON."""
    obp = estimators_of_obp()
    arrays, replicates = np.load(sys.argv[1]), int(sys.argv[2])
    estimators = {
        "ips": obp.InverseProbabilityWeighting(),
        "snips": obp.SelfNormalizedInverseProbabilityWeighting(),
        "dm": obp.DirectMethod(),
        "dr": obp.DoublyRobust(),
        "sndr": obp.SelfNormalizedDoublyRobust(),
        "switch_dr": obp.SwitchDoublyRobust(tau=float(arrays["switch"])),
    }
    logged = {
        "reward": arrays["reward"],
        "action": arrays["action"],
        "position": np.zeros(len(arrays["reward"]), dtype=int),
        "pscore": arrays["pscore"],
        "action_dist": arrays["target"][:, :, None],
        "estimated_rewards_by_reg_model": arrays["predicted"][:, :, None],
    }
    answers = {}
    for name, estimator in estimators.items():
        value = float(estimator.estimate_policy_value(**logged))
        begun = time.process_time()
        interval = estimator.estimate_interval(**logged, n_bootstrap_samples=replicates, random_state=0)
        answers[name] = {
            "value": value,
            "seconds": time.process_time() - begun,
            "ci_low": float(interval["95.0% CI (lower)"]),
            "ci_high": float(interval["95.0% CI (upper)"]),
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
