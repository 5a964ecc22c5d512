"""How many impressions are needed to detect a lift, from which the default sizes of the marketplace follow.

A lift estimated by importance weighting w = pi(a | x) / propensity from n impressions with click rate p has

    se(lift) / p = sqrt( E_log[(w - 1)^2 click] / (n p^2) )  ~  sqrt( chi2 / (n p) ),   chi2 = E_log[(w - 1)^2]     (1)

because clicks are rare (a good reward model hardly lowers it, since the noise is in the clicks). A two-sided test at
5 % detects a relative lift d with probability Phi(d / se - 1.96), so with 80 %

    d = (1.960 + 0.842) se                                                                                         (2)

The gate requires more: its bound holds at every look and all challengers share one error probability. So the first
challenger passes if its estimate is about 3.7 standard errors above zero, and

    d = (3.7 + 0.842) se                                                                                          (3)

for a pass with probability 80 %.

Sizes. Published lifts of personalised creatives over a good production system are +2 to +10 % (baseline.yaml). The
default policy, a softmax around the logging policy at temperature 0.1 learned from 35 % of 600,000 impressions, truly
earned +2.9 % with chi2 = 0.3 (effective sample size 78 %) where the log had 500,000 events. By (1), the 330,000
impressions that judge it give se = 0.7 %, so z = 4.3 and by (3) it passes with a probability of about 70 %. A log of a
million impressions would make that almost certain, in twice the time.

20,000 shoppers have 300 events and 30 impressions each. Real shops have more events: the public Taobao display set has
723 million behaviour records to 26.6 million ad impressions, 27 to 1. With 6,000,000 events (10 to 1) in place of
500,000 (0.8 to 1) models can learn tastes, and the same policy truly earns +8.2 %.
"""

from math import sqrt
from statistics import NormalDist

_NORMAL = NormalDist()


def relative_standard_error(impressions: float, click_rate: float, weight_divergence: float) -> float:
    """Equation (1): standard error of a relative lift; `weight_divergence` is chi2 = E_log[(w - 1)^2] >= 0."""
    return sqrt(weight_divergence / (impressions * click_rate))


def power(lift: float, standard_error: float, level: float = 0.05) -> float:
    """Probability that a true relative `lift` > 0 has a lower bound above zero, in (0, 1)."""
    return _NORMAL.cdf(lift / standard_error - _NORMAL.inv_cdf(1 - level / 2))


def detectable_lift(standard_error: float, wanted_power: float = 0.8, level: float = 0.05) -> float:
    """Equation (2): the relative lift that is detected with probability `wanted_power`."""
    return (_NORMAL.inv_cdf(1 - level / 2) + _NORMAL.inv_cdf(wanted_power)) * standard_error


def impressions_needed(lift: float, click_rate: float, weight_divergence: float, wanted_power: float = 0.8) -> int:
    """Impressions needed to detect a relative `lift` with probability `wanted_power`: (2) with (1), solved for n."""
    per_root_n = detectable_lift(sqrt(weight_divergence / click_rate), wanted_power)
    return round((per_root_n / lift) ** 2)
