"""Replicates spread over processes, one BLAS thread each: their arithmetic is small, and threads would only wait."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def replicate(work: Callable, seeds: Iterable, processes: int) -> list:
    """`work(seed)` for every seed, in order; `work` must be importable."""
    for name in THREADS:
        os.environ[name] = "1"
    from multiprocessing import get_context

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, seeds, chunksize=1))


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if trials == 0:
        return 0.0, 1.0
    z, share = 1.959964, hits / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * ((share * (1 - share) + z * z / (4 * trials)) / trials) ** 0.5 / (1 + z * z / trials)
    return centre - half, centre + half
