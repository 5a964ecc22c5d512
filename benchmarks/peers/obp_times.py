"""Run in the peers' environment: obp's six estimators and bootstrap on arrays in an .npz, values and seconds as JSON.

.adloom/peers/bin/python benchmarks/peers/obp_times.py ARRAYS.npz REPLICATES
"""

import json
import sys
import time

import numpy as np
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    InverseProbabilityWeighting,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)


def main() -> None:
    """Run and print the line of JSON."""
    arrays, replicates = np.load(sys.argv[1]), int(sys.argv[2])
    estimators = {
        "ips": InverseProbabilityWeighting(),
        "snips": SelfNormalizedInverseProbabilityWeighting(),
        "dm": DirectMethod(),
        "dr": DoublyRobust(),
        "sndr": SelfNormalizedDoublyRobust(),
        "switch_dr": SwitchDoublyRobust(lambda_=float(arrays["switch"])),
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
        begun = time.perf_counter()
        interval = estimator.estimate_interval(**logged, n_bootstrap_samples=replicates, random_state=0)
        answers[name] = {
            "value": value,
            "seconds": time.perf_counter() - begun,
            "ci_low": float(interval["95.0% CI (lower)"]),
            "ci_high": float(interval["95.0% CI (upper)"]),
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
