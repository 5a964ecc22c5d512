"""The outputs of a stage: the old manifest is deleted first, and the new one is written last.

So a folder with a manifest holds all files of one run and no others, even if another run was killed.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
from upath import UPath

from components.contract.files.digests import MANIFEST, digest_file, digest_json
from components.contract.files.tables import (
    remove_file,
    row_groups,
    write_batches,
    write_bytes,
    write_json,
    write_table,
    write_text,
)
from components.workflow.caching.manifests import Manifest


class Outputs:
    """The files that one run of a stage writes into `folder`; `finish` deletes the others and writes the manifest.

    A run that fails before its first file does not change the folder.
    """

    def __init__(self, folder: UPath) -> None:
        self.folder = folder
        self._written: set[str] = set()

    def table(self, name: str, table: pd.DataFrame) -> None:
        """Write `table` as Parquet under the relative file name `name`."""
        write_table(table, self.claim(name))

    def blocks(self, name: str, blocks: Iterable[pd.DataFrame]) -> None:
        """Write the rows of all `blocks`, at least one, as `table` writes them, with one block in memory at a time."""
        write_batches(row_groups(blocks), self.claim(name))

    def json(self, name: str, value: Any) -> None:
        """Write `value` as JSON with sorted keys; NaN and Infinity are errors."""
        write_json(value, self.claim(name))

    def text(self, name: str, text: str) -> None:
        """Write `text` as UTF-8."""
        write_text(text, self.claim(name))

    def file(self, name: str, content: bytes) -> None:
        """Write `content`."""
        write_bytes(content, self.claim(name))

    def files(self, folder: str, contents: Mapping[str, bytes]) -> None:
        """Write each of `contents` (relative name -> bytes) below `folder`."""
        for name, content in contents.items():
            self.file(f"{folder}/{name}", content)

    def finish(self, manifest: Manifest) -> None:
        """Delete the files that this run did not write, then write `manifest` with the digests of those it wrote."""
        for path in sorted(self.folder.rglob("*"), key=lambda path: -len(path.parts)):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name not in self._written:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        outputs = {name: digest_file(self.folder / name) for name in sorted(self._written)}
        write_json({**manifest.to_dict(), "outputs": outputs}, self.folder / MANIFEST)

    def package_digest(self, folder: str) -> str:
        """`digest_package` of `folder`, over the files of this run only: `finish` deletes those of earlier runs."""
        below = {name.removeprefix(f"{folder}/"): name for name in self._written if name.startswith(f"{folder}/")}
        return digest_json({name: digest_file(self.folder / below[name]) for name in sorted(below)})

    def copy(self, source: UPath, name: str) -> None:
        """Copy the file or folder `source`, if it exists, to the relative name `name`."""
        if source.is_file():
            write_bytes(source.read_bytes(), self.claim(name))
        elif source.is_dir():
            for path in source.rglob("*"):
                if path.is_file():
                    self.copy(path, f"{name}/{path.relative_to(source).as_posix()}")

    def claim(self, name: str) -> UPath:
        """The path of the file `name`, now one of this run's files; ValueError if it is outside the folder."""
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or parts[0] == "/" or "\0" in name:
            raise ValueError(f"{name!r}: no file within {self.folder}; names from data go through file_names.py")
        if not self._written:  # the first file deletes the old manifest
            remove_file(self.folder / MANIFEST)
        self._written.add(name)
        return self.folder / name
