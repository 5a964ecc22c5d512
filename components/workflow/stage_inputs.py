"""Tables and models read from the outputs of earlier stages (written through stage_outputs.py)."""

from collections.abc import Mapping, Sequence

import pandas as pd
from upath import UPath

from components.contract.card import DatasetCard, read_card
from components.contract.files.tables import files_in, read_coded, read_frame, read_json, read_table
from components.contract.schema import TABLES
from components.features import FeatureModel, Features, Looks
from components.features.feature_tables import pair_tables, reads_tables
from components.features.pairs.pair_history import EVENT_COLUMNS
from components.images import NetworkEncoder
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import FeaturesConfig

DISJOINT_MODELS = "disjoint_models"  # folder of the stage interest's model

# What each stage reads of the validated tables: a table with no columns is left out, one not named is read whole.
# The logs are the large tables; the rest of their columns would take most of a stage's memory.
_HISTORY = ("timestamp", "shopper_id", "kind", "product_id", "text", "value", "ingested_at")
FEATURES_READ = {"candidates": (), "events": _HISTORY}
INTEREST_READ = {
    **dict.fromkeys(TABLES, ()),
    "candidates": ("impression_id", "creative_id"),
    "creatives": ("creative_id", "campaign", "active_from", "active_until"),
}
EVALUATION_READ = {"events": _HISTORY}
_CODED = ("shopper_id", "kind", "product_id", "text")  # columns of events with many rows per value
PAIRS_READ = {  # for pair features
    **dict.fromkeys(TABLES, ()),
    "events": (*EVENT_COLUMNS, "ingested_at"),
    "products": ("product_id", "category"),
    "shoppers": ("shopper_id", "consent"),
}


def validated(
    paths: Paths, columns: Mapping[str, Sequence[str]] | None = None
) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """The validated tables by name, and the data set's card.

    columns: by table, the columns to read; a table with no columns is left out, a table not named is read whole. If
    they are those of the shoppers' history, the texts of events are categories.
    """
    folder, selected = paths.stage("validation"), columns or {}
    card = read_card(folder)
    names = [name for name in card.tables if selected.get(name) != ()]
    tables = {name: read_table(folder, name, selected.get(name)) for name in names if selected.get(name) != _HISTORY}
    if selected.get("events") == _HISTORY and "events" in names:
        tables["events"] = read_coded(folder / "events.parquet", _HISTORY, _CODED)
    return {name: tables[name] for name in names}, card


def built_features(paths: Paths) -> tuple[FeatureModel, Features]:
    """The fitted feature model and the features that it built. UserError if an earlier version of Adloom built them."""
    folder = paths.stage("features")
    if not (folder / "looks.parquet").exists():
        dataset = paths.artifacts.name
        raise UserError(
            f"{folder}: an earlier version of Adloom built these features; `adloom run {dataset}`, or "
            f"`adloom stage features --dataset {dataset}` and the stages after it, build them anew"
        )
    names = ("impressions", "creatives", "shopper_profiles")
    tables = {name: read_frame(folder / f"{name}.parquet") for name in names}
    tables["earlier"] = read_frame(folder / "creatives_earlier.parquet")
    messages = tuple(read_json(folder / "messages.json"))
    model = FeatureModel.from_files(files_in(folder / "model"))
    past = pair_tables(model.pairs, validated(paths, PAIRS_READ)[0]) if reads_tables(model.pairs) else None
    looks = Looks.from_table(read_frame(folder / "looks.parquet"))
    return model, Features(**tables, messages=messages, pairs=model.pairs, past=past, looks=looks)


def encoder_file(config: FeaturesConfig) -> bytes | None:
    """The bytes of the file that `features.encoder` names; None if it is null. UserError if it cannot be read."""
    if config.encoder is None:
        return None
    try:
        return UPath(config.encoder).read_bytes()
    except Exception as error:  # every kind of store that fsspec knows raises its own
        raise UserError(
            f"features.encoder {config.encoder} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def chosen_encoder(config: FeaturesConfig) -> NetworkEncoder | None:
    """The network in that file; None for principal components. UserError if the file is no encoder."""
    content = encoder_file(config)
    try:
        return None if content is None else NetworkEncoder.from_bytes(content)
    except UserError as error:
        raise UserError(f"features.encoder {config.encoder}: {error}") from None


def disjoint_models_folder(model: UPath) -> UPath:
    """The folder of the disjoint models in an interest version; versions from before have it under another name."""
    folder = model / DISJOINT_MODELS
    return folder if folder.exists() else model / "halves"
