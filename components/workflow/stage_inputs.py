"""What stages left behind -> the tables and models that a later stage reads: the counterpart of `outputs`."""

from collections.abc import Mapping, Sequence

import pandas as pd
from upath import UPath

from components.contract.card import DatasetCard, read_card
from components.contract.files.tables import read_frame, read_json, read_table
from components.contract.schema import TABLES
from components.features import FeatureModel, Features
from components.features.feature_tables import pair_tables, reads_tables
from components.features.pairs.pair_history import EVENT_COLUMNS
from components.images import NetworkEncoder
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import FeaturesConfig

# Of millions of rows, what features are made from: candidates say nothing of a shopper.
FEATURES_READ = {
    "candidates": (),
    "events": ("timestamp", "shopper_id", "kind", "product_id", "text", "value"),
}
# and of all tables, what pair features look back at
PAIRS_READ = {
    **dict.fromkeys(TABLES, ()),
    "events": EVENT_COLUMNS,
    "products": ("product_id", "category"),
    "shoppers": ("shopper_id", "consent"),
}


def validated(
    paths: Paths, columns: Mapping[str, Sequence[str]] | None = None
) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """The validated tables that are there, by name, and the data set's card.

    columns: of a table named there only these are read; where it names none, the table is left out.
    """
    folder, wanted = paths.stage("validation"), columns or {}
    card = read_card(folder)
    names = [name for name in card.tables if wanted.get(name) != ()]
    return {name: read_table(folder, name, wanted.get(name)) for name in names}, card


def built_features(paths: Paths) -> tuple[FeatureModel, Features]:
    """The fitted feature model and the features that it built."""
    folder = paths.stage("features")
    names = ("impressions", "creatives", "shopper_profiles")
    tables = {name: read_frame(folder / f"{name}.parquet") for name in names}
    tables["earlier"] = read_frame(folder / "creatives_earlier.parquet")
    messages = tuple(read_json(folder / "messages.json"))
    model = FeatureModel.from_files(files_in(folder / "model"))
    past = pair_tables(model.pairs, validated(paths, PAIRS_READ)[0]) if reads_tables(model.pairs) else None
    return model, Features(**tables, messages=messages, pairs=model.pairs, past=past)


def encoder_file(config: FeaturesConfig) -> bytes | None:
    """The file that `features.encoder` names; None where it names none. UserError where it cannot be read."""
    if config.encoder is None:
        return None
    try:
        return UPath(config.encoder).read_bytes()
    except Exception as error:  # every kind of store that fsspec knows raises its own
        raise UserError(
            f"features.encoder {config.encoder} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def chosen_encoder(config: FeaturesConfig) -> NetworkEncoder | None:
    """The network in that file; None for principal components. UserError naming the file where it holds no encoder."""
    content = encoder_file(config)
    try:
        return None if content is None else NetworkEncoder.from_bytes(content)
    except UserError as error:
        raise UserError(f"features.encoder {config.encoder}: {error}") from None


def files_in(folder: UPath) -> Mapping[str, bytes]:
    """Relative name -> bytes for all files below `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
