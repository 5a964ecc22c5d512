"""SHA-256 digests of bytes, JSON, files and folders."""

import hashlib
import json
from collections.abc import Iterable

from upath import UPath

MANIFEST = "manifest.json"  # a stage's list of its files; not part of the folder's digest


def digest_bytes(content: bytes) -> str:
    """SHA-256 of `content`, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: object) -> str:
    """SHA-256 of `value` as JSON with sorted keys."""
    return digest_bytes(json.dumps(value, sort_keys=True).encode())


def digest_file(path: UPath) -> str:
    """SHA-256 of the file at `path`, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_package(folder: UPath) -> str:
    """One digest of all files below `folder`, which identifies a registered version."""
    return digest_json(digest_tree(folder))


def digest_tree(folder: UPath, skip: Iterable[str] = (MANIFEST,)) -> dict[str, str]:
    """Relative file name -> SHA-256 for every file below `folder`, sorted, without names in `skip` and hidden ones."""
    skipped = set(skip)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    names = sorted(name for name in files if not skipped & set(name.split("/")) and not _hidden(name))
    return {name: digest_file(files[name]) for name in names}


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
