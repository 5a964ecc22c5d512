"""`python -m flows.server`: Prefect's server for this machine, which refuses requests from pages of other sites.

A deployment created there may run a command. Such requests are refused (403) by WebSocket too; components/settings/
own_pages.py says which. Prefect's CORS and CSRF settings are a second defence.
"""

import os

import click

from components.settings.environment import apply, prepare
from components.settings.own_pages import LOOPBACK, REFUSAL, is_own, local_hosts, origins


class OwnPagesOnly:
    """ASGI middleware: passes to `app` requests to one of `hosts` (`name:port`) by programs or by its own pages."""

    def __init__(self, app, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope, receive, send) -> None:
        """Pass one ASGI connection on, or refuse it."""
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope.get("headers", ()))
        if scope["type"] in ("http", "websocket") and not is_own(headers, self.hosts):
            await _refuse(scope["type"], receive, send)
        else:
            await self.app(scope, receive, send)


async def _refuse(kind: str, receive, send) -> None:
    if kind == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": REFUSAL})


def protection(hosts: tuple[str, ...]) -> dict[str, str]:
    """Prefect's settings, as environment variables, that refuse pages of other origins than `hosts`."""
    return {
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins(hosts)),
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
    hosts = (*local_hosts(port), *(name.lower() for name in allow))
    apply(protection(hosts))
    os.environ["PREFECT_SERVER_API_PORT"] = str(port)  # the server's pages read it
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(OwnPagesOnly(create_app(final=True), hosts), host=LOOPBACK, port=port, log_level="warning")


if __name__ == "__main__":
    serve()
