"""An object store that two machines share: each file is stored under its digest and checked when it is fetched.

`objects/<SHA-256>` holds one file's bytes. A parcel is the list of some files' names and digests, stored as an object
too: one machine sends the other its digest alone, and an altered file is detected. Files that the store has are not
sent again.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from upath import UPath

from components.contract.files.digests import digest_bytes, digest_file
from components.contract.files.tables import write_bytes
from components.settings.addresses import holds_secret
from components.settings.errors import Unavailable, UserError


def open_object_store(url: str) -> UPath:
    """The store at `url`, a folder or an fsspec URL; UserError if it contains a password or cannot be opened."""
    if "@" in urlsplit(url).netloc or holds_secret(url):
        raise UserError("creatives.store: credentials belong in the environment of each worker, not in the URL")
    try:
        return UPath(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"creatives.store {url}: {error}") from None


def send(folder: UPath, names: Iterable[str], store: UPath) -> str:
    """The digest of the parcel, for `receive`, after storing the files `names` below `folder` in `store`."""
    with _reported(store, "cannot be written", "nothing was handed over"):
        parcel = {name: _put(folder / name, store) for name in sorted(names)}
        content = json.dumps(parcel, sort_keys=True).encode()
        write_bytes(content, _place(store, digest_bytes(content)))
    return digest_bytes(content)


def receive(parcel: str, store: UPath, folder: UPath) -> tuple[str, ...]:
    """The names of the files of `parcel`, after fetching to `folder` those that it lacks.

    UserError at the first object that is missing or does not match its digest; it is not written.
    """
    with _reported(store, "cannot be read", "nothing was taken over"):
        files = json.loads(_get(parcel, "the list of files", store))
        for name, digest in files.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UserError(f"{store}: the parcel {parcel[:12]} contains {name!r}, a name outside its folder")
            target = folder / name
            if not target.is_file() or digest_file(target) != digest:
                write_bytes(_get(digest, name, store), target)
    return tuple(files)


def _put(file: UPath, store: UPath) -> str:
    content = file.read_bytes()
    place = _place(store, digest_bytes(content))
    if not place.exists() or place.stat().st_size != len(content):  # a truncated object is sent again
        write_bytes(content, place)
    return digest_bytes(content)


def _get(digest: str, name: str, store: UPath) -> bytes:
    place = _place(store, digest)
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{store}: {name} is not there (object {digest[:12]}); was the store emptied?") from None
    if digest_bytes(content) != digest:
        raise UserError(
            f"{store}: {name} was altered or truncated ({len(content)} bytes that are not those of object "
            f"{digest[:12]}); delete {place} and run again"
        )
    return content


def _place(store: UPath, digest: str) -> UPath:
    return store / "objects" / digest


@contextmanager
def _reported(store: UPath, fault: str, state: str) -> Iterator[None]:
    """Errors of the disk or the network of `store` as one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each kind of fsspec store has its own error types
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unavailable(f"{store} {fault}: {reason}; {state}") from error
