"""Download packages with the machine's package managers into a cache folder of the project.

Nothing is installed and nothing needs root. Files are checked by SHA-256.
"""

import hashlib
import http.client
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from components.settings.errors import UserError

DEFAULT_CACHE = Path(".adloom/cache")
TIMEOUT = 600  # seconds, for one call of a package manager
NPM_LOG = "A complete log of this run"  # npm's last line says only this
MAX_ARCHIVE = 100_000_000  # bytes of an npm package
# npm's configuration files after the project's and the user's
NPMRC = (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc"))


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
        failure = _failure(["apt-get", *command], folder)
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
    failure = _failure(command, folder)
    name, _, version = requirement.partition("==")
    wheels = sorted(folder.glob(f"{name}-{version}-*.whl"))
    if not wheels:
        raise UserError(f"{requirement}: pip could not download it: {failure}")
    return wheels[0]


def download_npm_package(package: str, version: str, folder: Path) -> Path:
    """The archive of npm package `package` (`@scope/name`), downloaded to `folder`; UserError says why it failed.

    It comes from the registry that npm's configuration names, without npm; if there is none, `npm pack` fetches it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scope, name = package.split("/")
    archive = folder / f"{scope.removeprefix('@')}-{name}-{version}.tgz"
    registry = npm_registry(scope)
    if registry is None:
        failures = ["neither npm_config_registry nor an .npmrc names a registry"]
    else:
        failure = _fetch(f"{registry.rstrip('/')}/{package}/-/{name}-{version}.tgz", archive)
        failures = [f"the registry of npm's configuration does not give it: {failure}"]
        if not failure:
            return archive
    failures.append(_failure(["npm", "pack", "--silent", f"{package}@{version}"], folder))
    if not archive.is_file():
        raise UserError(f"{package}@{version}: {'; '.join(failures)}")
    return archive


def npm_registry(scope: str) -> str | None:
    """The registry's address for packages of `scope` in npm's configuration, of which npm itself is not needed.

    Read in npm's order: environment, the project's .npmrc, the user's, the machine's; a scope's own registry comes
    first. None if none of them names one.
    """
    environment = {name.lower(): value for name, value in os.environ.items()}
    user = Path(environment.get("npm_config_userconfig", Path.home() / ".npmrc"))
    machine = environment.get("npm_config_globalconfig")
    files = (Path(".npmrc"), user, *([Path(machine)] if machine else NPMRC))
    settings = [
        {name.removeprefix("npm_config_"): value for name, value in environment.items()},
        *(_npmrc(file) for file in files),
    ]
    for key in (f"{scope}:registry", "registry"):
        found = next((value for known in settings if (value := known.get(key))), None)
        if found and found.startswith(("https://", "http://")):
            return found
    return None


def _npmrc(file: Path) -> dict[str, str]:
    """The settings in an .npmrc; ${NAME} is an environment variable."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith((";", "#")))
    return {
        key.strip(): re.sub(r"\$\{(\w+)\}", lambda name: os.environ.get(name[1], ""), value.strip().strip("\"'"))
        for key, equals, value in pairs
        if equals
    }


def _fetch(address: str, target: Path) -> str:
    """Download `address` to `target`; why it failed, or "" if it succeeded. The reason names no address."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            content = response.read(MAX_ARCHIVE + 1)
    except urllib.error.HTTPError as error:
        return f"HTTP status {error.code}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    if len(content) > MAX_ARCHIVE:
        return f"the file has more than {MAX_ARCHIVE:,} bytes"
    partial.write_bytes(content)
    partial.replace(target)
    return ""


def unpack_debian_package(package: Path, folder: Path) -> None:
    """Extract the files of a .deb to `folder`, without root and without installing it."""
    failure = _failure(["dpkg-deb", "--extract", str(package.absolute()), "."], folder)
    if failure:
        raise UserError(f"{package}: could not be unpacked: {failure}")


def _failure(command: list[str], folder: Path) -> str:
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
