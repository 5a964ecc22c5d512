"""The trust card: luck is not taken for bias, bias is seen, and few clones tell it well."""

from dataclasses import replace

import numpy as np
import pytest

from components.evaluation.analysis import analyse
from components.evaluation.clones import behaviour_on_clones
from components.evaluation.log import Covered
from components.evaluation.reward_models import LOGISTIC
from components.evaluation.shrinkage import SURPRISING, beyond_chance
from components.evaluation.trust import Gap
from tests.components.evaluation.logs import known_log


@pytest.mark.parametrize("whole_distribution", [True, False])
def test_few_clones_tell_a_biased_estimator_from_an_unbiased_one(whole_distribution):
    """Actions of which no two are alike make mips biased; ips is not, and its luck on the clones is known exactly."""
    known = known_log(4, n=6000)
    log = known.log if whole_distribution else replace(known.log, logging=None)
    analysis = analyse(log, known.target, None, (), 2, 0)
    covered = Covered(log, known.target, None, 0.0, 0)
    shrinkage = analysis.target.shrinkage
    seen = behaviour_on_clones(covered, analysis.models[LOGISTIC], shrinkage, 20, 6000, 0)
    assert seen["mips"].bias > 0.003 > 3 * seen["dr"].bias
    assert seen["ips"].bias < (1e-9 if whole_distribution else 0.003)
    assert seen["ips"].coverage > 0.7


def test_luck_counts_as_no_bias_and_more_than_luck_does():
    gaps = np.array([0.5, SURPRISING - 0.01, SURPRISING + 0.01, -10.0])
    assert beyond_chance(gaps, np.ones(4)) == pytest.approx([0.0, 0.0, 2.386, 9.95], abs=0.01)
    assert Gap(0.0, 0.0).unexplained == 0.0
