"""Download an npm package, without npm where its configuration names a registry, whose address only that knows."""

import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from components.datasets.packages.package_download import failure_of
from components.settings.errors import UserError

MAX_ARCHIVE = 100_000_000  # bytes of an npm package
# npm's configuration files after the project's and the user's
NPMRC = (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc"))


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
    failures.append(failure_of(["npm", "pack", "--silent", f"{package}@{version}"], folder))
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
