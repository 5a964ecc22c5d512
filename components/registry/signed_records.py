"""Signed JSON records stored with the MLflow run of a version: numbered, never altered; the last one counts.

`FOLDER/0001-<digest>/FILE` and `FOLDER/0001-<digest>.sig`. The signature covers the version's model and the record's
name, so that neither a package nor another record can replace it.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.contract.files.digests import digest_bytes
from components.registry.mlflow_store import Version, artifacts_in, fetch_artifact
from components.registry.signing import sign, verify
from components.settings.errors import UserError


@dataclass(frozen=True)
class RecordKind:
    """One series of records of a version. word: what messages call one. signed_as: prefix of the signed name."""

    folder: str
    file: str
    word: str
    signed_as: str = ""


def append_record(client, version: Version, kind: RecordKind, record: dict) -> None:
    """Store `record` as the last one of `version`, unless it is that; an interrupted copy of it is written again."""
    content = json.dumps(record, sort_keys=True, allow_nan=False, indent=1).encode()
    digest, names = digest_bytes(content)[:16], record_names(version, kind)
    last = names[-1] if names else "0000-"
    name = last if last.endswith(f"-{digest}") else f"{int(last[:4]) + 1:04d}-{digest}"
    with tempfile.TemporaryDirectory(prefix="adloom-record-") as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        (folder / kind.file).write_bytes(content)
        signature = Path(scratch) / f"{name}.sig"
        sign(folder, _signed_as(version, kind, name), signature)
        client.log_artifact(version.run_id, str(signature), kind.folder)
        client.log_artifact(version.run_id, str(folder / kind.file), f"{kind.folder}/{name}")


def record_names(version: Version, kind: RecordKind) -> list[str]:
    """The names of the records of `kind`, oldest first."""
    paths = [Path(path) for path in artifacts_in(version, kind.folder)]
    return [path.name for path in paths if path.suffix != ".sig"]


def checked_record(version: Version, kind: RecordKind, name: str) -> dict:
    """The record `name`; UserError if it or its signature was altered."""
    label = f"{version.name} version {version.number}: {kind.word} {name}"
    with tempfile.TemporaryDirectory(prefix="adloom-record-") as scratch:
        folder = fetch_artifact(version, f"{kind.folder}/{name}", Path(scratch))
        signature = Path(scratch) / f"{name}.sig"
        if f"{kind.folder}/{name}.sig" in artifacts_in(version, kind.folder):
            signature = fetch_artifact(version, f"{kind.folder}/{name}.sig", Path(scratch))
        verify(folder, _signed_as(version, kind, name), signature, label)
        content = (folder / kind.file).read_bytes()
    if not name.endswith(f"-{digest_bytes(content)[:16]}"):
        raise UserError(f"{label}: it replaces another one; nothing was moved or loaded")
    return json.loads(content)


def _signed_as(version: Version, kind: RecordKind, name: str) -> str:
    return f"{version.name} {kind.signed_as}{name}"
