"""Atomic replacement of files and folders through hidden temporary ones, and removal of those that a kill left behind.

A writer locks (flock) its hidden file or folder, and the kernel releases the lock when the process ends in any way. So
a hidden file or folder with such a name and without a lock is left over from a killed process.
"""

import ctypes
import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from upath import UPath

PARTIAL_FILE, PARTIAL_FOLDER, REPLACED_FOLDER = (
    "tmp",
    "partial",
    "old",
)  # endings: being written; being filled; about to be replaced
HIDDEN = re.compile(rf"\.(?P<name>.+)\.[0-9a-f]{{8}}\.(?P<kind>{PARTIAL_FILE}|{PARTIAL_FOLDER}|{REPLACED_FOLDER})")
CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}  # an old kernel, or a file system without it
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's fcntl.h


def hidden_name(name: str, kind: str) -> str:
    """A new hidden name for a temporary version of `name`, which `clear_leftovers` recognises."""
    return f".{name}.{uuid.uuid4().hex[:8]}.{kind}"


def try_lock(handle: int) -> bool:
    """Lock the open file or folder `handle` until it is closed; False if another process has locked it.

    True on a file system without locks: no other process can lock it either, so none deletes it as a leftover.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def scratch_folder(folder: UPath) -> Iterator[UPath]:
    """An empty hidden folder beside the local `folder`, to be filled and passed to `replace_folder`; deleted on exit.

    Leftovers of killed processes beside `folder` are cleared first.
    """
    recover_folder(folder)
    place = Path(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh, handle = _locked_folder(place)
    try:
        yield UPath(fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        os.close(handle)


def replace_folder(fresh: UPath, folder: UPath) -> None:
    """Rename the folder `fresh` to `folder` and delete the old folder of that name.

    Linux exchanges the two names in one step. A file system without that needs two renames; if the process is killed
    between them, `recover_folder` renames the old folder back.
    """
    new, place = Path(fresh), Path(folder)
    if not place.exists():
        new.rename(place)
    elif _exchange(new, place):
        shutil.rmtree(new)
    else:
        _replace_in_two_steps(new, place)
    sync_folder(place.parent)


def recover_folder(folder: UPath) -> None:
    """Restore the local `folder` if a kill left it without its name, and delete leftovers of its replacement."""
    place = Path(folder)
    if place.parent.is_dir():
        for path in sorted(place.parent.iterdir()):
            match = HIDDEN.fullmatch(path.name)
            if match and match["name"] == place.name:
                _clear(path, match["kind"])


def clear_leftovers(root: UPath) -> None:
    """Recover folders and delete leftovers of killed processes anywhere below `root`; files being written stay.

    Does nothing if `root` is a URL, since object stores publish only complete uploads.
    """
    if UPath(root).protocol not in ("", "file", "local"):
        return
    for path in sorted(Path(root).rglob(".*"), key=lambda path: len(path.parts)):
        match = HIDDEN.fullmatch(path.name)
        if match:
            _clear(path, match["kind"])


def sync_folder(folder: Path | str) -> None:
    """Flush the names in `folder` to disk (fsync), so that renames survive a power cut."""
    handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _locked_folder(place: Path) -> tuple[Path, int]:
    """A new hidden folder beside `place`, and the open handle that locks it."""
    while True:
        fresh = place.parent / hidden_name(place.name, PARTIAL_FOLDER)
        fresh.mkdir()
        with suppress(FileNotFoundError):  # another process deleted it as a leftover before it was locked
            handle = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
            if try_lock(handle) and fresh.exists():
                return fresh, handle
            os.close(handle)


def _replace_in_two_steps(new: Path, place: Path) -> None:
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try_lock(handle)
        old = place.parent / hidden_name(place.name, REPLACED_FOLDER)
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old)
    finally:
        os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False if the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _clear(path: Path, kind: str) -> None:
    """Delete `path` unless its writer runs; an old folder whose name is free gets that name back."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # deleted meanwhile, or another user's
        return
    try:
        if not _is_free(handle):
            return
        place = path.parent / HIDDEN.fullmatch(path.name)["name"]
        if kind == REPLACED_FOLDER and not place.exists():
            path.rename(place)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _is_free(handle: int) -> bool:
    """Lock `handle` and return True if no process had locked it; False also on a file system without locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
