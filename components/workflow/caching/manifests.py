"""Manifests: the digests of a stage's inputs and outputs, which decide whether it must run again.

A manifest is written last and atomically, so a stage that was killed has none, or an old one that no longer matches. It
holds no times, machine names or paths other than the stage's file names, so equal runs give equal bytes.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from upath import UPath

from components.contract.files.digests import MANIFEST, digest_file, digest_json
from components.settings.paths import ROOT

CODE_SUFFIXES = {".py", ".json", ".yaml"}  # modules read the scenarios and digests beside them


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
    """The manifest in `folder`; None if there is none, or the file is not a manifest."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def digest_code(sources: Iterable[str], components: Path = ROOT / "components") -> str:
    """SHA-256 over every file of `sources`: packages of `components` ("features") or modules ("workflow/stages")."""
    files: dict[str, str] = {}
    for source in sources:
        folder = components / source
        paths = [path for path in folder.rglob("*") if _is_code(path)] or [folder.with_suffix(".py")]
        files |= {path.relative_to(components).as_posix(): digest_file(UPath(path)) for path in paths}
    return digest_json(files)


def _is_code(path: Path) -> bool:
    return path.is_file() and path.suffix in CODE_SUFFIXES
