"""`python -m flows.server`: Prefect's server for this machine, which refuses requests from pages of other sites.

A browser lets any page send requests to a server on loopback, and a deployment created there may run a command. So a
request is refused (403) if it names another host (as with DNS rebinding) or comes from a page of another site, by
WebSocket too. Prefect's CORS and CSRF settings are a second defence.
"""

import os

import click

from components.settings.environment import apply, prepare

LOCAL = ("127.0.0.1", "localhost")


class OwnPagesOnly:
    """ASGI middleware: passes to `app` requests to one of `hosts` (`name:port`) by programs or by its own pages."""

    def __init__(self, app, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)
        self.origins = frozenset(f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts)

    async def __call__(self, scope, receive, send) -> None:
        """Pass one ASGI connection on, or refuse it."""
        if scope["type"] in ("http", "websocket") and not self._is_own(scope["headers"]):
            await _refuse(scope["type"], receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_own(self, headers: list[tuple[bytes, bytes]]) -> bool:
        hosts, origins = (
            [value.decode("latin-1").lower() for name, value in headers if name == header]
            for header in (b"host", b"origin")
        )
        return hosts != [] and set(hosts) <= self.hosts and set(origins) <= self.origins


async def _refuse(kind: str, receive, send) -> None:
    if kind == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"the request names another host or is from another site\n"})


def protection(hosts: tuple[str, ...]) -> dict[str, str]:
    """Prefect's settings, as environment variables, that refuse pages of other origins than `hosts`."""
    return {
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in hosts),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True)
@click.option(
    "--allow", multiple=True, metavar="HOST[:PORT]", help="Another host that requests may name, such as a proxy's."
)
def serve(port: int, allow: tuple[str, ...]) -> None:
    """Serve Prefect's pages and API on loopback."""
    prepare()
    hosts = (*(f"{name}:{port}" for name in LOCAL), *(name.lower() for name in allow))
    apply(protection(hosts))
    os.environ["PREFECT_SERVER_API_PORT"] = str(port)  # the server's pages read it
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(OwnPagesOnly(create_app(final=True), hosts), host=LOCAL[0], port=port, log_level="warning")


if __name__ == "__main__":
    serve()
