"""The committed digests of the shipped data sets, the same on every machine; `verify` compares with them.

`python -m components.datasets DATA_FOLDER` writes them again after a change of the click law or of pyarrow, whose
version is in every Parquet file. Record such a change in the changelog.
"""

from pathlib import Path

from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_json, write_json
from components.settings.errors import UserError
from components.settings.shipped_datasets import ALL_SHIPPED

DIGESTS_FILE = Path(__file__).with_name("digests.json")


def committed_digests(name: str) -> dict[str, str]:
    """Relative file name -> SHA-256 of the shipped data set `name`; UserError for another name."""
    if name not in ALL_SHIPPED:
        raise UserError(
            f"{name}: only the shipped data sets ({', '.join(ALL_SHIPPED)}) have committed digests; "
            "`dvc status data.dvc` shows whether another one has changed"
        )
    return read_json(UPath(DIGESTS_FILE)).get(name, {})


def differences(folder: UPath, expected: dict[str, str]) -> list[str]:
    """A sorted line for each file in `folder` that is missing, unexpected or different from `expected` digests."""
    digests = digest_tree(folder)
    kinds = {
        "missing": expected.keys() - digests.keys(),
        "unexpected": digests.keys() - expected.keys(),
        "different": {name for name in expected.keys() & digests.keys() if expected[name] != digests[name]},
    }
    return sorted(f"{name} is {kind}" for kind, names in kinds.items() for name in names)


def write_digests(data_folder: UPath) -> None:
    """Write digests.json from the shipped data sets in `data_folder`; a set that is not there keeps its digests."""
    built = {name: digest_tree(data_folder / name) for name in ALL_SHIPPED if (data_folder / name).is_dir()}
    write_json(read_json(UPath(DIGESTS_FILE)) | built, UPath(DIGESTS_FILE))
