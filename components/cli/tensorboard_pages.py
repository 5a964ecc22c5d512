"""`python -m components.cli.tensorboard_pages`: TensorBoard on loopback, which refuses requests of other sites.

As Prefect's server, it answers them with 403; components/settings/own_pages.py says which.
"""

from collections.abc import Callable, Iterable

import click

from components.settings.own_pages import LOOPBACK, REFUSAL, is_own, local_hosts


class OwnPagesOnly:
    """WSGI middleware: passes to `app` requests to one of `hosts` (`name:port`) by programs or by its own pages."""

    def __init__(self, app: Callable, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """Answer one request, or refuse it."""
        headers = (
            (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        )
        if is_own(headers, self.hosts):
            return self.app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [REFUSAL]


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=6006, show_default=True)
@click.option("--logdir", required=True, metavar="DIR", help="Folder below which the training curves are.")
def serve(port: int, logdir: str) -> None:
    """Serve TensorBoard's pages on loopback until the process is ended."""
    from tensorboard import default, program

    def protected(app: Callable, flags):
        return program.WerkzeugServer(OwnPagesOnly(app, local_hosts(port)), flags)

    board = program.TensorBoard(default.get_plugins(), server_class=protected)
    board.configure(("tensorboard", "--host", LOOPBACK, "--port", str(port), "--logdir", logdir))
    board.main()


if __name__ == "__main__":
    serve()
