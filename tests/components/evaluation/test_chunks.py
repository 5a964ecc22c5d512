"""A log in chunks gives the numbers of the log in one piece."""

import numpy as np
import pytest

from components.evaluation.estimators.chunks import Chunk, evaluate_chunks
from components.evaluation.estimators.estimators import ESTIMATORS, WeightedRows
from components.evaluation.estimators.shrinkage import tune
from components.evaluation.logged_decisions import pairs_of
from tests.components.evaluation.logs import known_log


def test_chunks_equal_the_whole():
    known = known_log(0, n=3000)
    predicted = np.full(len(known.target), 0.05)
    whole = WeightedRows(
        known.log.weight(known.target), known.log.reward, predicted[known.log.logged],
        known.log.expected(predicted, known.target),
    )  # fmt: skip

    def parts():
        for start in range(0, 3000, 1000):
            rows = np.arange(start, start + 1000)
            pair = pairs_of(known.log.offsets, rows)
            log = known.log.rows(rows)
            yield Chunk(log, known.target[pair], predicted[pair])

    intervals = evaluate_chunks(parts(), 200, 0)
    streamable = {name for name, estimator in ESTIMATORS.items() if estimator.streamable}
    assert streamable == set(ESTIMATORS) - {"mips"}
    assert set(intervals) == streamable - {"dm"}  # a constant prediction has no spread, so dm has no interval
    for name in ("ips", "snips", "dr", "sndr"):  # the others are tuned on the first chunk alone
        expected = ESTIMATORS[name](whole, tune(name, whole)).value()
        assert intervals[name].value == pytest.approx(expected, abs=1e-12)
        assert intervals[name].ci_low < expected < intervals[name].ci_high
