"""`adloom ui`: Prefect's and MLflow's own pages, on loopback."""

import subprocess
import sys

import click

from components.errors import UserError


@click.command()
@click.option("--prefect-port", type=click.IntRange(1, 65535), default=4200, show_default=True)
@click.option("--mlflow-port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(prefect_port: int, mlflow_port: int) -> None:
    """Serve the Prefect and MLflow pages on loopback until Ctrl-C."""
    import os

    from components.environment import prepare

    for port in (prefect_port, mlflow_port):
        _check_free(port)
    prepare()
    from components.tracking import open_store

    open_store()
    store = os.environ["MLFLOW_TRACKING_URI"]
    prefect = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(prefect_port)]
    mlflow = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(mlflow_port)]
    mlflow += ["--backend-store-uri", store, "--workers", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    servers = [subprocess.Popen(prefect, **quiet), subprocess.Popen(mlflow, **quiet)]
    click.echo(f"Prefect   127.0.0.1:{prefect_port}   runs, artifacts, deployments")
    click.echo(f"MLflow    127.0.0.1:{mlflow_port}   models, versions, aliases, reasons")
    click.echo("They take half a minute to start. Ctrl-C ends both.")
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


def _check_free(port: int) -> None:
    import socket

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UserError(f"port {port} is taken; choose another with --prefect-port or --mlflow-port")
