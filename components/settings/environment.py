"""One place for what other programs read from the environment: quiet, local, no telemetry. A user's own value wins."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from components.settings.errors import UserError
from components.settings.quiet_tensorflow import quieten_tensorflow

STATE = Path(".adloom")  # Prefect's and MLflow's own state and the download cache, inside the project


def defaults(state: Path) -> dict[str, str]:
    """Environment variable -> the value that Adloom sets where the user has set none; `state` is an absolute folder."""
    return {
        "ADLOOM_STATE": str(state),
        "ADLOOM_ARTIFACT_ROOT": f"{state}/mlartifacts",
        "ADLOOM_MAX_DECODED_GIB": "1",  # what a file may take in memory, unless it is large itself: expansion.py
        "DVC_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "KERAS_BACKEND": "tensorflow",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a model in MLflow's own flavours is loaded by nobody here
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_TRACKING_URI": f"sqlite:///{state}/mlflow.db",
        "MPLBACKEND": "agg",
        "PREFECT_HOME": f"{state}/prefect",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "adloom",  # progress stands on the flow run's page too
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LOGGERS_PREFECT_EXTRA_LEVEL": "INFO",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # Prefect's own default is pickle, which executes what it reads
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",  # one order of summation, so that a rerun gives the same weights
    }


def prepare(state: Path = STATE) -> Path:
    """Set the defaults for this process and those it starts; make `state`, its owner's alone, and return it, absolute.

    Call it before anything imports Prefect, MLflow or TensorFlow.
    """
    absolute = state.resolve()
    _make_private(absolute)
    apply(defaults(absolute))
    quieten_tensorflow()
    _make_private(Path(os.environ["ADLOOM_STATE"]))
    return absolute


def _make_private(folder: Path) -> None:
    """Make `folder`; databases, keys and caches in it are nobody else's to read."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)


def apply(values: Mapping[str, str]) -> None:
    """Set each variable that is not set yet."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def expand(text: str) -> str:
    """`text` with each ${NAME} replaced by that variable's value; UserError naming one that is not set."""

    def value(match: re.Match) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise UserError(f"the environment variable {name} is not set, which a setting names")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, text)
