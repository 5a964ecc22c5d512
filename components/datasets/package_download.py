"""Packages -> files on this machine, by the machine's own package managers, each checked by SHA-256.

Nothing is installed and nothing needs root; what was fetched is kept in a cache folder of the project.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from components.settings.errors import UserError

DEFAULT_CACHE = Path(".adloom/cache")
TIMEOUT = 600  # seconds for one call of a package manager


def sha256(path: Path) -> str:
    """SHA-256 of a local file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, due: str, what: str) -> Path:
    """`path`, if its SHA-256 is `due`; else a UserError that shows both."""
    found = sha256(path)
    if found != due:
        raise UserError(f"{what}: {path} has SHA-256 {found}, but {due} is due; delete it and build again")
    return path


def download_debian_package(package: str, folder: Path, update: bool = True) -> Path:
    """The newest .deb of `package` in `folder`, by `apt-get download`; a UserError says why there is none.

    A fresh machine has no package lists. With `update` they are then fetched into `folder`, for the system's own need
    root.
    """
    private = _private_lists(folder) if update else ()
    commands = [["download", package]]
    if update:
        commands += [["update", *private], ["download", package, *private]]
    complaint = ""
    for command in commands:
        complaint = _complaint(["apt-get", *command], folder)
        found = sorted(folder.glob(f"{package}_*.deb"))
        if found:
            return found[-1]
    raise UserError(f"{package}: apt-get could not download it: {complaint}")


def _private_lists(folder: Path) -> tuple[str, ...]:
    lists = (folder / "apt").absolute()
    (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (lists / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    return ("-o", f"Dir::State::Lists={lists}/lists", "-o", f"Dir::Cache={lists}/cache")


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of `requirement` (name==version) in `folder`, by pip and without its dependencies."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", ".", requirement]
    complaint = _complaint(command, folder)
    name, _, version = requirement.partition("==")
    found = sorted(folder.glob(f"{name}-{version}-*.whl"))
    if not found:
        raise UserError(f"{requirement}: pip could not download it: {complaint}")
    return found[0]


def unpack_debian_package(package: Path, folder: Path) -> None:
    """Files of a .deb -> `folder`, without root and without installing."""
    complaint = _complaint(["dpkg-deb", "--extract", str(package.absolute()), "."], folder)
    if complaint:
        raise UserError(f"{package}: could not be unpacked: {complaint}")


def _complaint(command: list[str], folder: Path) -> str:
    """Runs `command` in `folder`; the last line of what it complained of, or nothing if it went well."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        return f"there is no {command[0]} on this machine"
    except subprocess.TimeoutExpired:
        return f"{command[0]} gave no answer in {TIMEOUT} s"
    lines = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")
