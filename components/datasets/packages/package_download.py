"""Download packages with the machine's package managers into a cache folder of the project.

Nothing is installed and nothing needs root. Files are checked by SHA-256.
"""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.settings.errors import UserError

DEFAULT_CACHE = Path(".adloom/cache")
TIMEOUT = 600  # seconds, for one call of a package manager
NPM_LOG = "A complete log of this run"  # npm's last line says only this


@contextmanager
def filling(cache: Path) -> Iterator[None]:
    """While it is open, no other process or thread adds files to `cache`; a second one waits, then finds them there.

    The lock ends with the process, so a killed build leaves none behind.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    """SHA-256 of a local file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, expected: str, what: str) -> Path:
    """`path` itself if its SHA-256 is `expected`; else a UserError that shows both digests."""
    digest = sha256(path)
    if digest != expected:
        raise UserError(f"{what}: {path} has SHA-256 {digest}, expected {expected}; delete it and build again")
    return path


def download_debian_package(package: str, folder: Path, update: bool = True) -> Path:
    """The newest .deb of `package`, downloaded to `folder` by `apt-get download`; UserError says why it failed.

    A new machine has no package lists. With `update` they are then fetched into `folder`, since the system's lists need
    root.
    """
    private = _private_lists(folder) if update else ()
    commands = [["download", package]]
    if update:
        commands += [["update", *private], ["download", package, *private]]
    failure = ""
    for command in commands:
        failure = failure_of(["apt-get", *command], folder)
        packages = sorted(folder.glob(f"{package}_*.deb"))
        if packages:
            return packages[-1]
    raise UserError(f"{package}: apt-get could not download it: {failure}")


def _private_lists(folder: Path) -> tuple[str, ...]:
    lists = (folder / "apt").absolute()
    (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (lists / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    return ("-o", f"Dir::State::Lists={lists}/lists", "-o", f"Dir::Cache={lists}/cache")


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of `requirement` (name==version), downloaded to `folder` by pip, without its dependencies."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", ".", requirement]
    failure = failure_of(command, folder)
    name, _, version = requirement.partition("==")
    wheels = sorted(folder.glob(f"{name}-{version}-*.whl"))
    if not wheels:
        raise UserError(f"{requirement}: pip could not download it: {failure}")
    return wheels[0]


def unpack_debian_package(package: Path, folder: Path) -> None:
    """Extract the files of a .deb to `folder`, without root and without installing it."""
    failure = failure_of(["dpkg-deb", "--extract", str(package.absolute()), "."], folder)
    if failure:
        raise UserError(f"{package}: could not be unpacked: {failure}")


def failure_of(command: list[str], folder: Path) -> str:
    """Run `command` in `folder`; the last line of its error output, or "" if it succeeded."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        return f"there is no {command[0]} on this machine"
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not finish in {TIMEOUT} s"
    lines = [line for line in (result.stderr or result.stdout).strip().splitlines() if NPM_LOG not in line]
    return "" if result.returncode == 0 else (lines[-1] if lines else f"exit status {result.returncode}")
