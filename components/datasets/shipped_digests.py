"""The committed digests of the shipped data sets: what `build` must give on every machine, and `verify` compares with.

`python -m components.datasets DATA_FOLDER` writes them anew, after a change of the law or of pyarrow (whose
version is in every Parquet file); the changelog then says so.
"""

from pathlib import Path

from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_json, write_json
from components.settings.errors import UserError

FILE = Path(__file__).with_name("digests.json")
SHIPPED = ("marketplace", "openbandit")


def due_digests(name: str) -> dict[str, str]:
    """Relative file name -> SHA-256 of the shipped data set `name`; UserError for another name."""
    if name not in SHIPPED:
        raise UserError(
            f"{name}: only the shipped data sets ({', '.join(SHIPPED)}) have committed digests; "
            "`dvc status data.dvc` tells whether another one has changed"
        )
    return read_json(UPath(FILE)).get(name, {})


def differences(folder: UPath, due: dict[str, str]) -> list[str]:
    """What is missing in `folder`, there without being due, or different; in words, sorted."""
    found = digest_tree(folder)
    kinds = {
        "missing": due.keys() - found.keys(),
        "not due": found.keys() - due.keys(),
        "different": {name for name in due.keys() & found.keys() if due[name] != found[name]},
    }
    return sorted(f"{name} is {kind}" for kind, names in kinds.items() for name in names)


def record(data_folder: UPath) -> None:
    """Digests of the shipped data sets as they lie in `data_folder` -> digests.json."""
    write_json({name: digest_tree(data_folder / name) for name in SHIPPED}, UPath(FILE))
