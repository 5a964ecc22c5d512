"""Models logged in the MLflow flavour of their framework, for MLflow to describe and serve.

Adloom itself loads the package, whose digest it checks; the flavours are for other tools. The sampler of flow matching
is a layer of Adloom: `import components.generators.families.ode_sampler` before `mlflow.keras.load_model`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from upath import UPath

from components.contract.files.tables import files_in


def log_interest(folder: UPath) -> str:
    """The URI of the interest model in `folder`, after logging it to the active run in the flavour of its kind."""
    from components.interest import CalibratedModel
    from components.interest.model_kinds import Flavour, model_kind

    files = files_in(folder / "interest")
    calibrated = CalibratedModel.from_files(files)
    kind = model_kind(calibrated.name)
    if kind.flavour is Flavour.PYFUNC:
        return _log_files(files)
    log_native = {Flavour.SKLEARN: _log_estimator, Flavour.KERAS: _log_network}[kind.flavour]
    return log_native(kind.native(calibrated.model))


def _log_files(files: Mapping[str, bytes]) -> str:
    """The URI of an interest model logged from its files, which maps features of pairs to P(click)."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    with TemporaryDirectory() as folder:  # MLflow takes artifacts from a path only
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("interest_scorer.py")),
            artifacts={"model": folder},
            signature=ModelSignature(outputs=Schema([ColSpec("double", "p_click")])),
            pip_requirements=_requirements("adloom", "mlflow", "pandas"),
        )
    return logged.model_uri


def _log_estimator(estimator) -> str:
    import mlflow.sklearn

    sample = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    logged = mlflow.sklearn.log_model(
        estimator,
        name="model",
        signature=_signature(sample, estimator.predict_proba(sample)),
        serialization_format="skops",
        skops_trusted_types=[],
        pyfunc_predict_fn="predict_proba",
        pip_requirements=_requirements("scikit-learn", "skops"),
    )
    return logged.model_uri


def _log_network(network, name: str = "model") -> str:
    import mlflow.keras

    sample = [np.zeros((1, *tensor.shape[1:]), dtype=tensor.dtype) for tensor in network.inputs]
    outputs = np.asarray(network(sample, training=False))
    inputs = {tensor.name: array for tensor, array in zip(network.inputs, sample, strict=True)}
    requirements = _requirements("keras", "tensorflow")
    logged = mlflow.keras.log_model(
        network, name=name, signature=_signature(inputs, outputs), pip_requirements=requirements
    )
    return logged.model_uri


def log_generators(folder: UPath) -> str:
    """The URI of the best generator by about.json, after logging every generator in `folder` (a sub-folder each)."""
    from components.generators.keras_generator import GENERATOR_FILE, NetworkGenerator

    uris = {}
    for name in sorted(path.name for path in folder.iterdir() if (path / GENERATOR_FILE).exists()):
        generator = NetworkGenerator.from_files(files_in(folder / name))
        uris[name] = _log_network(generator.network, name=name)
    return uris[json.loads((folder / "about.json").read_text(encoding="utf-8"))["best"]]


def log_policy(package: Path) -> str:
    """The URI of the policy's decisions, logged as a model from segment, placement, campaign to probabilities."""
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    decisions = pd.read_parquet(package / "decisions.parquet")
    cell = [ColSpec("string", "segment"), ColSpec("string", "placement"), ColSpec("string", "campaign")]
    outputs = [ColSpec("string", "creative_id"), ColSpec("double", "probability"), ColSpec("double", "impressions")]
    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(__file__).with_name("decision_lookup.py")),
        artifacts={"decisions": str(package / "decisions.parquet")},
        signature=ModelSignature(Schema(cell), Schema([*cell, *outputs])),
        input_example=decisions[[column.name for column in cell]].head(1),
        pip_requirements=_requirements("pandas", "pyarrow", "mlflow"),
    )
    return logged.model_uri


def _signature(inputs, outputs):
    from mlflow.models import infer_signature

    return infer_signature(inputs, outputs)


def _requirements(*names: str) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in names]
