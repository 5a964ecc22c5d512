"""Download npm packages from the registry in npm's configuration, without npm; else with `npm pack`."""

import http.client
import os
import re
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from components.datasets.packages.package_download import failure_of, sha256
from components.settings.errors import UserError

MAX_ARCHIVE = 100_000_000  # bytes of an npm package
# npm's configuration files after the project's and the user's
NPMRC = (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc"))


def download_npm_package(package: str, version: str, folder: Path, expected: str) -> Path:
    """The archive of npm package `package` (`@scope/name`), downloaded to `folder`; UserError says why it failed.

    It is fetched from the registry in npm's configuration. If there is none, or its file does not have the SHA-256
    `expected`, `npm pack` is tried. A file with another SHA-256 never enters `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scope, name = package.split("/")
    archive = folder / f"{scope.removeprefix('@')}-{name}-{version}.tgz"
    registry = npm_registry(scope)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".npm-") as scratch:
        fetched = Path(scratch) / archive.name
        if registry is None:
            failures = ["neither npm_config_registry nor an .npmrc names a registry"]
        else:
            failure = _fetch(f"{registry.rstrip('/')}/{package}/-/{name}-{version}.tgz", fetched)
            failures = [f"download from the registry in npm's configuration: {failure or _wrong(fetched, expected)}"]
        if not fetched.is_file() or _wrong(fetched, expected):
            fetched.unlink(missing_ok=True)
            failure = failure_of(["npm", "pack", "--silent", f"{package}@{version}"], Path(scratch))
            failures.append(failure or _wrong(fetched, expected))
        if not fetched.is_file() or _wrong(fetched, expected):
            raise UserError(f"{package}@{version}: {'; '.join(failures)}")
        return fetched.replace(archive)


def _wrong(file: Path, expected: str) -> str:
    """What is wrong with a downloaded file; "" if its SHA-256 is the expected one."""
    if not file.is_file():
        return f"no file {file.name} was written"
    digest = sha256(file)
    return "" if digest == expected else f"the file has SHA-256 {digest}, expected {expected}"


def npm_registry(scope: str) -> str | None:
    """The address of the registry for packages of `scope`, read from npm's configuration; None if it names none.

    In npm's order: the environment, the .npmrc of the project, of the user and of the machine. A registry of the scope
    comes before the general one. npm need not be installed.
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
    target.write_bytes(content)
    return ""
