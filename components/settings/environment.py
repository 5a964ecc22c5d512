"""Environment variables that Adloom sets for the libraries it uses: quiet, local, no telemetry. A user's value wins."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits

from components.settings.errors import UserError
from components.settings.quiet_tensorflow import quieten_tensorflow

STATE = Path(".adloom")  # the state of Prefect and MLflow and the download cache, inside the project


def defaults(state: Path) -> dict[str, str]:
    """Environment variable -> the value that Adloom sets unless the user has set one; `state` is an absolute folder."""
    return {
        "ADLOOM_STATE": str(state),
        "ADLOOM_ARTIFACT_ROOT": f"{state}/mlartifacts",
        "ADLOOM_MAX_DECODED_GIB": "1",  # limit of a file's size in memory: contract/files/decoded_size.py
        "DVC_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "KERAS_BACKEND": "tensorflow",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a pickle runs code when it is loaded
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_TRACKING_URI": f"sqlite:///{state}/mlflow.db",
        "MPLBACKEND": "agg",
        "OPENBLAS_NUM_THREADS": "1",  # see limit_blas_threads
        "PREFECT_HOME": f"{state}/prefect",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "adloom",  # shows progress on the flow run's page
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LOGGERS_PREFECT_EXTRA_LEVEL": "INFO",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # the default is pickle, which runs code when it is loaded
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",  # a fixed order of summation, so that a rerun gives the same weights
    }


def prepare(state: Path = STATE) -> Path:
    """The absolute path of `state`, made readable by its owner only; sets `defaults` for this process and its children.

    Call it before anything imports Prefect, MLflow or TensorFlow.
    """
    absolute = state.resolve()
    _make_private(absolute)
    apply(defaults(absolute))
    limit_blas_threads()
    quieten_tensorflow()
    _make_private(Path(os.environ["ADLOOM_STATE"]))
    return absolute


def _make_private(folder: Path) -> None:
    """Make `folder` and let only its owner read it, since it holds databases and keys."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)


def apply(values: Mapping[str, str]) -> None:
    """Set each environment variable of `values` that is not set."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def limit_blas_threads() -> None:
    """Hold OpenBLAS to OPENBLAS_NUM_THREADS, also where NumPy was imported before the variable was set.

    With a thread per core, threads that wait for one another spin. Beside other work on the machine, a matrix product
    then takes up to 15 times as long; and its last bits depend on the number of cores.
    """
    threadpool_limits(int(os.environ["OPENBLAS_NUM_THREADS"]), user_api="blas")


def expand(text: str) -> str:
    """`text` with each ${NAME} replaced by the environment variable's value; UserError names one that is not set."""

    def value(match: re.Match) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise UserError(f"the environment variable {name} is not set, but a setting refers to it")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, text)
