"""Files <-> a store that two machines share, each file under its own digest and checked when it arrives.

`objects/<SHA-256>` holds one file's bytes. A parcel is the list of some files' names and digests, an object too: its
digest is all that one machine has to tell the other, and nothing that was altered on the way can pass for it. What is
there already is not sent again, so a night sends what is new.
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


def open_store(url: str) -> UPath:
    """The store at `url`, a folder or an fsspec URL; UserError for one that carries a password or cannot be opened."""
    if "@" in urlsplit(url).netloc or holds_secret(url):
        raise UserError("creatives.store: credentials belong in the environment of each worker, not in the URL")
    try:
        return UPath(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"creatives.store {url}: {error}") from None


def send(folder: UPath, names: Iterable[str], store: UPath) -> str:
    """Put the files `names` below `folder` into `store`; the digest of their parcel, by which `receive` finds them."""
    with _reported(store, "cannot be written", "nothing was handed over"):
        parcel = {name: _put(folder / name, store) for name in sorted(names)}
        content = json.dumps(parcel, sort_keys=True).encode()
        write_bytes(content, _place(store, digest_bytes(content)))
    return digest_bytes(content)


def receive(parcel: str, store: UPath, folder: UPath) -> tuple[str, ...]:
    """Fetch the files of `parcel` to `folder`; their names. Files that are there already, byte for byte, stay.

    Raises UserError at the first object that is missing or is not what its digest says; it is not written.
    """
    with _reported(store, "cannot be read", "nothing was taken over"):
        files = json.loads(_get(parcel, "the list of files", store))
        for name, digest in files.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UserError(f"{store}: the parcel {parcel[:12]} holds {name!r}, a name outside its folder")
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
            f"{store}: {name} was altered or cut off on its way ({len(content)} bytes that are not those of "
            f"object {digest[:12]}); delete {place} and run again"
        )
    return content


def _place(store: UPath, digest: str) -> UPath:
    return store / "objects" / digest


@contextmanager
def _reported(store: UPath, fault: str, state: str) -> Iterator[None]:
    """What a disk or a network says of `store`, as one sentence for its user."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # every kind of store that fsspec knows raises its own
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unavailable(f"{store} {fault}: {reason}; {state}") from error
