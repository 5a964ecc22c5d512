"""`python -m components.cli.tensorboard_pages`: TensorBoard on loopback, which refuses requests of other sites.

A browser lets any page send requests to a server on loopback. As Prefect's server and MLflow's, this one answers 403 if
a request names another host (as with DNS rebinding) or comes from a page of another site.
"""

from collections.abc import Callable, Iterable

import click

LOCAL = ("127.0.0.1", "localhost")


class OwnPagesOnly:
    """WSGI middleware: passes to `app` requests to one of `hosts` (`name:port`) by programs or by its own pages."""

    def __init__(self, app: Callable, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)
        self.origins = frozenset(f"http://{host}" for host in self.hosts)

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """Answer one request, or refuse it."""
        host, origin = environ.get("HTTP_HOST", "").lower(), environ.get("HTTP_ORIGIN")
        if host in self.hosts and (origin is None or origin.lower() in self.origins):
            return self.app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"the request names another host or is from another site\n"]


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=6006, show_default=True)
@click.option("--logdir", required=True, metavar="DIR", help="Folder below which the training curves are.")
def serve(port: int, logdir: str) -> None:
    """Serve TensorBoard's pages on loopback until the process is ended."""
    from tensorboard import default, program

    def protected(app: Callable, flags):
        return program.WerkzeugServer(OwnPagesOnly(app, [f"{name}:{port}" for name in LOCAL]), flags)

    board = program.TensorBoard(default.get_plugins(), server_class=protected)
    board.configure(("tensorboard", "--host", LOCAL[0], "--port", str(port), "--logdir", logdir))
    board.main()


if __name__ == "__main__":
    serve()
