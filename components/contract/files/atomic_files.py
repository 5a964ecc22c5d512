"""Files and folders that are written aside and then take their place in one step; leftovers of killed processes.

A writer holds a lock (flock) on what it writes aside, and the kernel drops that lock when the process ends, however it
ends. So a hidden file or folder of ours that nobody holds is left over from a process that was killed.
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

FILE, FOLDER, OLD = "tmp", "partial", "old"  # being written; being filled; what a new folder is about to replace
HIDDEN = re.compile(rf"\.(?P<name>.+)\.[0-9a-f]{{8}}\.(?P<kind>{FILE}|{FOLDER}|{OLD})")
CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}  # an old kernel, or a file system without it
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's fcntl.h


def hidden_name(name: str, kind: str) -> str:
    """A new hidden name beside `name`, by which `clear_leftovers` knows it."""
    return f".{name}.{uuid.uuid4().hex[:8]}.{kind}"


def hold(handle: int) -> bool:
    """Lock the open file or folder `handle` until it is closed; False where another process holds it.

    A file system without locks counts as held by us: nobody else can lock it either, so nobody clears it.
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
    """An empty hidden folder beside the local `folder`, to be filled and given to `replace_folder`; deleted at the end.

    What killed processes left beside `folder` goes first.
    """
    recover_folder(folder)
    place = Path(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh, handle = _held_folder(place)
    try:
        yield UPath(fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        os.close(handle)


def replace_folder(fresh: UPath, folder: UPath) -> None:
    """Give the folder `fresh` the name `folder`, then delete what had that name.

    Linux exchanges the two names in one step. A file system that cannot do so takes two renames; `recover_folder` then
    gives the old folder its name back if the process is killed between them.
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
    """Undo what killed processes began beside the local `folder`: its name comes back, their leftovers are deleted."""
    place = Path(folder)
    if place.parent.is_dir():
        for path in sorted(place.parent.iterdir()):
            match = HIDDEN.fullmatch(path.name)
            if match and match["name"] == place.name:
                _clear(path, match["kind"])


def clear_leftovers(root: UPath) -> None:
    """Undo what killed processes began anywhere below `root`; what living ones are writing stays.

    Nothing happens where `root` is a URL: object stores publish whole uploads only.
    """
    if UPath(root).protocol not in ("", "file", "local"):
        return
    for path in sorted(Path(root).rglob(".*"), key=lambda path: len(path.parts)):
        match = HIDDEN.fullmatch(path.name)
        if match:
            _clear(path, match["kind"])


def sync_folder(folder: Path | str) -> None:
    """Have the disk keep the names in `folder`, as a power cut would leave them."""
    handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _held_folder(place: Path) -> tuple[Path, int]:
    """A new hidden folder beside `place`, and the handle that holds it."""
    while True:
        fresh = place.parent / hidden_name(place.name, FOLDER)
        fresh.mkdir()
        with suppress(FileNotFoundError):  # another process took it for a leftover before it was held
            handle = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
            if hold(handle) and fresh.exists():
                return fresh, handle
            os.close(handle)


def _replace_in_two_steps(new: Path, place: Path) -> None:
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        hold(handle)
        old = place.parent / hidden_name(place.name, OLD)
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old)
    finally:
        os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the file system cannot."""
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
    """Delete `path` unless its writer lives; an old folder whose name is free takes that name again."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # gone meanwhile, or somebody else's
        return
    try:
        if not _is_free(handle):
            return
        place = path.parent / HIDDEN.fullmatch(path.name)["name"]
        if kind == OLD and not place.exists():
            path.rename(place)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _is_free(handle: int) -> bool:
    """Whether nobody holds `handle`, so that now we do; False where the file system has no locks to tell by."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
