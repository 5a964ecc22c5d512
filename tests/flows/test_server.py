"""Who may ask Prefect's server on loopback: programs and its own pages, and no page of another site."""

import asyncio

import pytest

from flows.server import OwnPagesOnly, protection

HOSTS = ("127.0.0.1:4200", "localhost:4200")


def answer(kind: str, *headers: tuple[str, str]) -> list[dict]:
    """What is sent back for a connection with these headers; the server behind answers `{"type": "let in"}`."""
    sent: list[dict] = []

    async def app(scope, receive, send):
        await send({"type": "let in"})

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers]}
    asyncio.run(OwnPagesOnly(app, HOSTS)(scope, receive, send))
    return sent


OWN = [
    [("host", "127.0.0.1:4200")],
    [("host", "localhost:4200"), ("origin", "http://localhost:4200")],
    [("host", "LOCALHOST:4200"), ("origin", "http://127.0.0.1:4200")],
    [("host", "127.0.0.1:4200"), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
    [("host", "127.0.0.1:4200"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
]
FOREIGN = [
    [],
    [("host", "evil.example")],
    [("host", "evil.example:4200")],
    [("host", "127.0.0.1:5000")],
    [("host", "127.0.0.1:4200"), ("host", "evil.example")],
    [("host", "127.0.0.1:4200"), ("origin", "http://evil.example")],
    [("host", "127.0.0.1:4200"), ("origin", "null")],
    [("host", "127.0.0.1:4200"), ("origin", "http://127.0.0.1:4200.evil.example")],
    [("host", "127.0.0.1:4200"), ("origin", "http://127.0.0.1:5000")],
    [("host", "127.0.0.1:4200"), ("origin", "http://localhost:4200"), ("origin", "http://evil.example")],
    [("host", "127.0.0.1:4200"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
    [("host", "127.0.0.1:4200"), ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("headers", OWN, ids=str)
def test_programs_and_own_pages_are_let_in(kind, headers):
    assert answer(kind, *headers) == [{"type": "let in"}]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_pages_of_other_sites_are_not(headers):
    assert answer("http", *headers)[0]["status"] == 403
    assert answer("websocket", *headers) == [{"type": "websocket.close", "code": 1008}]


def test_the_server_may_start_and_end():
    assert answer("lifespan") == [{"type": "let in"}]


def test_prefects_own_settings_name_the_same_pages():
    assert protection(HOSTS) == {
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "http://127.0.0.1:4200,http://localhost:4200",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
