"""What a stage read and wrote, by digest: the record that decides whether it must run again.

A manifest is written last and atomically, so a stage killed half-way has none, or an old one that no longer matches.
It holds no times, machine names or paths beyond the stage's own file names: equal work gives equal bytes.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from upath import UPath

ROOT = Path(__file__).resolve().parent.parent
NAME = "manifest.json"
BY_VALUE = {"components", "components.config", "components.errors", "components.paths"}


@dataclass(frozen=True)
class Manifest:
    """One run of one stage: digests of settings, code, inputs and outputs (each SHA-256, hexadecimal)."""

    stage: str
    settings: str
    code: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def same_work(self, other: "Manifest") -> bool:
        """Whether both runs had the same inputs, settings and code, whatever they wrote."""
        return replace(self, outputs={}) == replace(other, outputs={})

    def to_dict(self) -> dict[str, Any]:
        """The manifest as plain JSON values."""
        return asdict(self)


def read_manifest(folder: UPath) -> Manifest | None:
    """The manifest in `folder`; None where there is none, or what is there is not one."""
    try:
        return Manifest(**json.loads((folder / NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def digest_bytes(content: bytes) -> str:
    """SHA-256 of `content`, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: object) -> str:
    """SHA-256 of `value` as JSON with sorted keys."""
    return digest_bytes(json.dumps(value, sort_keys=True).encode())


def digest_file(path: UPath) -> str:
    """SHA-256 of the file at `path`, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_package(folder: UPath) -> str:
    """The one digest of all files below `folder`: what a registered version is known by."""
    return digest_json(digest_tree(folder))


def digest_tree(folder: UPath, skip: Iterable[str] = (NAME,)) -> dict[str, str]:
    """Relative file name -> SHA-256 for every file below `folder`, sorted; names in `skip` and hidden ones left out."""
    skipped = set(skip)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    kept = sorted(name for name in files if not skipped & set(name.split("/")) and not _hidden(name))
    return {name: digest_file(files[name]) for name in kept}


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def digest_code(source: str) -> str:
    """SHA-256 over `source` and every local module that it imports, at any depth, function bodies included.

    Settings and locations are left out: a stage's settings are digested by value.
    """
    closure = sorted(_closure(_imports(source)))
    return digest_json({"": source, **{name: digest_file(_file(name)) for name in closure}})


def _closure(modules: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in BY_VALUE:
            found.add(name)
            waiting.extend(imports_of(name))
    return found


@cache
def imports_of(module: str) -> frozenset[str]:
    """Names of the local modules that `module` imports anywhere in its source, function bodies included."""
    return frozenset(_imports(_file(module).read_text(encoding="utf-8")))


def _imports(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] in ("components", "flows") and _file(name)}


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
