"""What a command sets for the libraries that it is about to import."""

import os
import subprocess
import sys

import pytest

THREADS = """
import numpy
from components.settings.environment import prepare
prepare()
from threadpoolctl import threadpool_info
import scipy.linalg
print(sorted({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}))
"""


@pytest.mark.parametrize(("chosen", "threads"), [(None, "[1]"), ("2", "[2]")])
def test_blas_uses_one_thread_or_as_many_as_the_user_sets(tmp_path, chosen, threads):
    """Of NumPy's OpenBLAS, imported before, and of SciPy's, imported after."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), "HOME": str(tmp_path)}
    if chosen:
        environment["OPENBLAS_NUM_THREADS"] = chosen
    shown = subprocess.run(
        [sys.executable, "-c", THREADS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == threads
