"""What a request must fulfil before it is read: its size, its key, and where it comes from."""

import hmac
import json
import os
from collections.abc import Iterable

from components.settings.own_pages import REFUSAL, is_own

API_KEY = "ADLOOM_SERVING_KEY"  # environment variable; without it, requests need no key
KEY_HEADER = b"x-api-key"
OPEN_PATHS = (
    "/healthz",
    "/readyz",
    "/ads/",
    "/pixel/",
    "/click/",
)  # answered without a key, to any page: these begin so


class RequestLimits:
    """ASGI middleware: 413 for a body above `max_body_bytes`, 401 without the key.

    Without a key, requests from the pages of other sites get 403 (own_pages.py); hosts: those that a request may name.
    """

    def __init__(self, app, max_body_bytes: int, hosts: Iterable[str]):
        self.app, self.max_body_bytes, self.hosts = app, max_body_bytes, tuple(hosts)
        self.key = os.environ.get(API_KEY, "").encode()

    async def __call__(self, scope, receive, send) -> None:
        """Answer `scope`, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        body = await self._body(receive)
        if body is None:
            await _answer(send, 413, self._too_large())
            return
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def from_memory():
            return unread.pop() if unread else await receive()

        await self.app(scope, from_memory, send)

    async def _body(self, receive) -> bytes | None:
        """The whole body; None if it has more than `max_body_bytes`."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.max_body_bytes:
                return None
            if not message.get("more_body"):
                return bytes(body)

    def _refusal(self, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        values = dict(headers)
        length = values.get(b"content-length", b"0")
        if not length.isdigit():
            return 400, "Content-Length is no number"
        if int(length) > self.max_body_bytes:
            return 413, self._too_large()
        if path.startswith(OPEN_PATHS):
            return None
        if self.key:
            if not hmac.compare_digest(values.get(KEY_HEADER, b""), self.key):
                return 401, "the header X-API-Key is missing or wrong"
            return None
        texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return None if is_own(texts, self.hosts) else (403, REFUSAL.decode().strip())

    def _too_large(self) -> str:
        return f"the body has more than {self.max_body_bytes} bytes (serving.max_body_bytes)"


async def _answer(send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")]  # an unread body would be taken for the next request
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
