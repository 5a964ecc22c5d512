"""What a stage read and wrote, by digest: the record that decides whether it must run again.

A manifest is written last and atomically, so a stage killed half-way has none, or an old one that no longer matches.
It holds no times, machine names or paths beyond the stage's own file names: equal work gives equal bytes.
"""

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from upath import UPath

from components.contract.files.digests import MANIFEST, digest_file, digest_json
from components.settings.paths import ROOT

BY_VALUE = {
    "components",
    "components.settings",
    "components.settings.sections",
    "components.settings.errors",
    "components.settings.paths",
}


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
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


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
