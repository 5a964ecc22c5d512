"""`adloom serve`: the champion answers requests over HTTP."""

import os
from pathlib import Path

import click

from components.cli.run import DATASET, setting, workdir
from components.settings.errors import UserError
from components.settings.own_pages import LOOPBACK, NAMES, local_hosts


@click.command()
@click.argument("dataset", type=DATASET)
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on; others need an API key.")
@click.option("--port", type=click.IntRange(1, 65535), default=8700, show_default=True)
@click.option("--data", "folder", metavar="DIR", help="Folder with your own data set.")
@setting
@workdir
@click.pass_obj
def serve(params: str, *, dataset, host, port, folder, overrides, workdir) -> None:
    """Answer requests for ads over HTTP until Ctrl-C: POST /decide; the page /docs describes all of them.

    The champion in the registry chooses; without one, or if it fails its checks, every eligible creative has the same
    probability. ADLOOM_SERVING_KEY is the key that requests must send in the header X-API-Key; without it only
    requests from this machine are answered.
    """
    from components.settings.environment import prepare
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths

    if host not in NAMES and not os.environ.get("ADLOOM_SERVING_KEY"):
        raise UserError(f"--host {host}: other machines could ask; set ADLOOM_SERVING_KEY, the key that they must send")
    config = load_settings(params, dataset, overrides).serving
    paths = Paths.of(dataset, data=folder, workdir=workdir)
    prepare()
    import uvicorn

    from components.registry.locks import folder_lock
    from components.serving.http_api.http_app import make_app
    from components.serving.service import Service
    from components.serving.shop_tables import read_shop

    folder = Path(paths.serving)
    with folder_lock(folder, f"`adloom serve {dataset}`"):
        service = Service(read_shop(paths.data), config, paths.data, folder)
        service.watch.refresh()
        service.challenger.refresh()
        status = service.watch.status
        chosen = f"version {status.version}, {status.form}" if status.version else f"uniform ({status.reason})"
        click.echo(f"{dataset}: {chosen}; http on {host}:{port}, described on its page /docs. Ctrl-C ends it.")
        app = make_app(service, local_hosts(port))
        quiet = {"log_level": "warning", "access_log": False, "server_header": False}
        uvicorn.run(app, host=host, port=port, loop="uvloop", http="httptools", **quiet)
