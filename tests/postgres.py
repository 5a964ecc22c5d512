"""A real PostgreSQL on loopback for tests, in a folder of its own, if Debian's package is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "p4ss-that-nobody-may-see"


@dataclass(frozen=True)
class Postgres:
    """A server that can be stopped and started again. `as_owner`: the prefix that runs its commands as its user."""

    folder: Path
    port: int
    as_owner: tuple[str, ...]
    programs: Path

    def url(self, driver: str, database: str = "postgres") -> str:
        return f"postgresql+{driver}://adloom:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def control(self, *words: str) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder}"
        command = [str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-o", options]
        subprocess.run(
            [*self.as_owner, *command, "-l", str(self.folder / "log"), *words],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        self.control("start")

    def die(self) -> None:
        self.control("stop", "-m", "immediate")

    def create(self, database: str) -> None:
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "adloom"]
        subprocess.run([str(self.programs / "createdb"), *where, database], env=environment, check=True)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server; the test is skipped where there is none to run."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    as_owner: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        if shutil.which("runuser") is None or subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        as_owner = ("runuser", "-u", "postgres", "--")
    with tempfile.TemporaryDirectory(prefix="adloom-postgres-") as scratch, socket.socket() as probe:
        folder = Path(scratch)
        probe.bind(("127.0.0.1", 0))
        server = Postgres(folder, probe.getsockname()[1], as_owner, found[-1].parent)
        probe.close()
        (folder / "password").write_text(PASSWORD)
        if as_owner:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres")
        initdb = [str(found[-1]), "-D", str(folder / "data"), "-U", "adloom", "--auth=scram-sha-256", "--no-sync"]
        subprocess.run(
            [*as_owner, *initdb, f"--pwfile={folder / 'password'}"], check=True, cwd=folder, stdout=subprocess.DEVNULL
        )
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.die()
