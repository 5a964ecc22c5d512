"""MariaDB and PostgreSQL on loopback, from Debian's binaries where they are there; started, killed and started anew."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

READER = ("reader", "p@ss/word:1")  # a password that a URL has to quote


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name: str, *places: str) -> str | None:
    found = shutil.which(name) or next((hit for place in places for hit in sorted(glob.glob(f"{place}/{name}"))), None)
    return found


@dataclass
class Server:
    """One database server; `owner` has all rights in the database `shop`, READER may only select."""

    kind: str
    folder: Path
    port: int
    process: subprocess.Popen | None = None

    def start(self) -> None:
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, user=self.user())
        for _ in range(300):
            try:
                self.connect().close()
                return
            except Exception:  # it listens before it takes anybody
                time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def connect(self, database: str | None = None):
        """As the server's own administrator."""
        import psycopg
        import pymysql

        if self.kind == "mysql":
            return pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True)

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.process.send_signal(signal.SIGKILL if self.kind == "mysql" else signal.SIGQUIT)
        self.process.wait(30)

    def user(self) -> str | None:
        """Neither server runs as root."""
        return None if os.geteuid() else ("mysql" if self.kind == "mysql" else "postgres")

    def command(self) -> list[str]:
        if self.kind == "mysql":
            options = [f"--datadir={self.folder}/data", f"--socket={self.folder}/s", f"--pid-file={self.folder}/pid"]
            quick = ["--innodb-flush-method=fsync", "--innodb-log-file-size=8M", "--skip-name-resolve"]
            server = program("mariadbd", "/usr/sbin")
            return [server, "--no-defaults", *options, *quick, "--bind-address=127.0.0.1", f"--port={self.port}"]
        options = ["-D", f"{self.folder}/data", "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        return [program("postgres", "/usr/lib/postgresql/*/bin"), *options, "-F"]

    def owner_url(self) -> str:
        driver = "mysql+pymysql" if self.kind == "mysql" else "postgresql+psycopg"
        return f"{driver}://owner:owner@127.0.0.1:{self.port}/shop"

    def source(self) -> str:
        scheme = "mysql+pymysql" if self.kind == "mysql" else "postgresql"
        return f"{scheme}://${{SHOP_USER}}:${{SHOP_PASSWORD}}@127.0.0.1:{self.port}/shop"


def missing(kind: str) -> str | None:
    """Why no server of this kind can be started; None where one can."""
    if kind == "mysql":
        there = program("mariadbd", "/usr/sbin") and program("mariadb-install-db")
        return None if there else "no MariaDB here (Debian's mariadb-server)"
    there = program("postgres", "/usr/lib/postgresql/*/bin") and program("initdb", "/usr/lib/postgresql/*/bin")
    return None if there else "no PostgreSQL here (Debian's postgresql)"


def create(kind: str, folder: Path) -> Server:
    """A fresh server with the database `shop` and both users, running."""
    folder.mkdir(parents=True)
    server = Server(kind, folder, free_port())
    if server.user():
        account = pwd.getpwnam(server.user())
        os.chown(folder, account.pw_uid, account.pw_gid)
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "user": server.user()}
    if kind == "mysql":
        install = [program("mariadb-install-db"), "--no-defaults", f"--datadir={folder}/data", "--skip-test-db"]
        subprocess.run([*install, "--auth-root-authentication-method=normal"], **run)
    else:
        initdb = program("initdb", "/usr/lib/postgresql/*/bin")
        subprocess.run([initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"], **run)
    server.start()
    _grant(server)
    if kind == "postgresql":
        rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (folder / "data" / "pg_hba.conf").write_text(rules)
        server.kill()
        server.start()
    return server


def _grant(server: Server) -> None:
    name, password = READER
    if server.kind == "mysql":
        statements = (
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "CREATE USER owner@'127.0.0.1' IDENTIFIED BY 'owner'",
            "GRANT ALL ON shop.* TO owner@'127.0.0.1'",
            f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}'",
            f"GRANT SELECT, SHOW VIEW ON shop.* TO {name}@'127.0.0.1'",
        )
    else:
        statements = (
            "CREATE ROLE owner LOGIN PASSWORD 'owner'",
            "CREATE DATABASE shop OWNER owner",
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
            "GRANT pg_read_all_data TO reader",
        )
    connection = server.connect()
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()
