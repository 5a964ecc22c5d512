"""`adloom ui` serves Prefect's, MLflow's and TensorBoard's pages on loopback; `adloom databases` creates databases."""

import os
import signal
import subprocess
import sys

import click

from components.cli.run import workdir
from components.settings.addresses import hidden
from components.settings.errors import UserError
from components.settings.own_pages import LOOPBACK, local_hosts, origins


@click.command()
@click.option("--prefect-port", type=click.IntRange(1, 65535), default=4200, show_default=True)
@click.option("--mlflow-port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--tensorboard-port", type=click.IntRange(1, 65535), default=6006, show_default=True)
@workdir
def ui(prefect_port: int, mlflow_port: int, tensorboard_port: int, workdir: str) -> None:
    """Serve the pages of Prefect, MLflow and TensorBoard (if installed) on loopback until Ctrl-C.

    They refuse requests from the pages of other sites. TensorBoard shows the training curves below the folder of
    outputs.
    """
    from importlib.util import find_spec

    from components.settings.environment import prepare

    with_curves = find_spec("tensorboard") is not None
    ports = {"--prefect-port": prefect_port, "--mlflow-port": mlflow_port}
    for option, port in {**ports, **({"--tensorboard-port": tensorboard_port} if with_curves else {})}.items():
        _check_free(port, option)
    prepare()
    _bring_up_to_date()
    # by the environment, because everybody can read a password in a command line
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": os.environ["MLFLOW_TRACKING_URI"]}
    prefect = [sys.executable, "-m", "flows.server", "--port", str(prefect_port)]
    mlflow = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(mlflow_port)]
    mlflow += ["--workers", "1", *_own_pages_only(mlflow_port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "env": environment}
    # SIGTERM too: a service manager sends it, and a background job ignores SIGINT
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    commands = [prefect, mlflow]
    if with_curves:
        board = [sys.executable, "-m", "components.cli.tensorboard_pages", "--port", str(tensorboard_port)]
        commands.append([*board, "--logdir", workdir])
    servers = [subprocess.Popen(command, **quiet) for command in commands]
    click.echo(f"Prefect     127.0.0.1:{prefect_port}   runs, artifacts, deployments")
    click.echo(f"MLflow      127.0.0.1:{mlflow_port}   models, versions, aliases, reasons")
    if with_curves:
        click.echo(f"TensorBoard 127.0.0.1:{tensorboard_port}   training curves of the generators")
    click.echo("They take half a minute to start. Ctrl-C ends them.")
    try:
        for server in servers:
            server.wait()
    except KeyboardInterrupt:
        click.echo("ending")
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(timeout=20)


def _own_pages_only(port: int) -> list[str]:
    """MLflow's options against pages of other sites; its defaults allow pages of every port of this machine."""
    hosts = local_hosts(port)
    return ["--allowed-hosts", ",".join(hosts), "--cors-allowed-origins", ",".join(origins(hosts))]


@click.command()
def databases() -> None:
    """Create or migrate the databases of Prefect and MLflow before the first server starts.

    Several machines may run it at once; without it, their migrations can collide. Environment variables name the
    databases.
    """
    from components.settings.environment import prepare

    prepare()
    _bring_up_to_date()
    click.echo("the databases of Prefect and MLflow are up to date")


def _bring_up_to_date() -> None:
    from components.registry.locks import migration_lock
    from components.registry.mlflow_store import open_store

    open_store()
    default = f"sqlite:///{os.environ['PREFECT_HOME']}/prefect.db"
    with migration_lock(os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL") or default):
        upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        process = subprocess.run(upgrade, capture_output=True, text=True, check=False)
    if process.returncode:
        errors = [line for line in (process.stdout + process.stderr).splitlines() if "Error" in line]
        reason = hidden(errors[-1] if errors else process.stderr)
        raise UserError(f"Prefect's database could not be brought up to date: {reason}")


def _check_free(port: int, option: str) -> None:
    import socket

    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise UserError(f"port {port} is taken; choose another with {option}")
