"""How often a bound should fail, and whether it fails that often: two-sided, so that a looser one is seen too."""

from scipy.stats import binom

ODDS = 1e-3  # of a sound bound to fail a test here, were seeds not fixed


def limits(runs: int, rate: float) -> tuple[int, int]:
    """The fewest and the most failures of `runs` that a bound which fails at `rate` has, but for ODDS."""
    return int(binom.ppf(ODDS / 2, runs, rate)), int(binom.isf(ODDS / 2, runs, rate))


def fails_at(rate: float, failures: int, runs: int) -> bool:
    """Whether `failures` of `runs` are those of a bound that fails at `rate`."""
    fewest, most = limits(runs, rate)
    return fewest <= failures <= most
