"""What a request must fulfil to be answered: its rate, size, key and origin, and the time that it takes."""

import asyncio
import hmac
import json
import math
import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from prometheus_client import Counter

from components.settings.own_pages import REFUSAL, is_own
from components.settings.sections import ServingConfig

API_KEY = "ADLOOM_SERVING_KEY"  # environment variable; without it, requests need no key
KEY_NAME = "X-API-Key"  # the header
# answered without a key, to any page: these begin so
OPEN_PATHS = ("/healthz", "/readyz", "/ads/", "/pixel/", "/click/")
PROBES = ("/healthz", "/readyz")  # no limit on their rate: a probe that is refused would end a healthy server
MAX_CLIENTS = 50_000  # whose rates are kept, some 10 MB
BURST_SECONDS = 2.0  # a client may send the requests of so many seconds at once
RETRY_SECONDS = 1.0  # after a request that took too long


def api_key() -> bytes:
    """The key that requests must send; empty: none."""
    return os.environ.get(API_KEY, "").encode()


def needs_key(path: str) -> bool:
    """Whether requests of `path` must send the key, or come from this machine if there is none."""
    return not path.startswith(OPEN_PATHS)


class ClientRates:
    """How soon each client may ask again: the generic cell rate algorithm (ITU-T I.371), a token bucket per client.

    A client may send `rate` requests a second, and those of BURST_SECONDS (at least one) at once. What is kept of a
    client is one number: until when the requests that it sent so far last at that rate. A client whose number lies in
    the past is as good as unknown; of more than MAX_CLIENTS, the one that asked longest ago is forgotten.
    """

    def __init__(self, rate: float):
        self._step, self._last = 1 / rate, OrderedDict[str, float]()
        self._ahead = max(BURST_SECONDS, self._step) + 1e-9

    def wait(self, client: str, now: float) -> float:
        """Seconds until the client may ask again; 0.0: it may now, and this request counts. now: in seconds."""
        until = max(self._last.get(client, now), now) + self._step
        if until - now > self._ahead:
            return until - now - self._ahead
        self._last[client] = until
        self._last.move_to_end(client)
        if len(self._last) > MAX_CLIENTS:
            self._last.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._last)


class _Refused(Exception):
    """limit: that the request passed, as the figures name it; retry: seconds after which it may be sent again."""

    def __init__(self, status: int, detail: str, limit: str | None = None, retry: float | None = None):
        self.status, self.detail, self.limit, self.retry = status, detail, limit, retry


class _ClientGone(Exception):
    """The client closed its connection before the body was there."""


class RequestLimits:
    """ASGI middleware: 429 above `requests_per_second`, 413 above `max_body_bytes`, 401 without the key; 408 and 503 if
    the body or the answer takes longer than `request_seconds`.

    Without a key, requests from the pages of other sites get 403 (own_pages.py); hosts: those that a request may name.
    limited: counts by `limit` (rate, size, time). A request whose client leaves before its body is there is dropped.
    """

    def __init__(self, app, config: ServingConfig, hosts: Iterable[str], limited: Counter):
        self.app, self.config, self.hosts, self._limited = app, config, tuple(hosts), limited
        self.key = api_key()
        rate = config.requests_per_second
        self._rates = None if rate is None else ClientRates(rate)

    async def __call__(self, scope, receive, send) -> None:
        """Answer `scope`, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check_rate(scope)
            self._check_headers(scope["path"], [(name.lower(), value) for name, value in scope["headers"]])
            await self._in_time(scope, receive, send)
        except _Refused as refused:
            if refused.limit is not None:
                self._limited.labels(refused.limit).inc()
            await _answer(send, refused)
        except _ClientGone:
            pass

    async def _in_time(self, scope, receive, send) -> None:
        """Read the body and pass the request on, within `request_seconds`."""
        seconds, body, started = self.config.request_seconds, None, False

        async def noted(message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(seconds) as limit:
                body = await self._body(receive)
                await asyncio.sleep(0)  # lets the clocks of all requests that have come start before one is answered
                if asyncio.get_running_loop().time() >= limit.when():
                    raise self._late()
                unread = [{"type": "http.request", "body": body, "more_body": False}]

                async def from_memory():
                    return unread.pop() if unread else await receive()

                await self.app(scope, from_memory, noted)
        except TimeoutError:
            if started or not limit.expired():
                raise
            if body is not None:
                raise self._late() from None
            why = f"the body did not come within {seconds:g} seconds (serving.request_seconds)"
            raise _Refused(408, why, "time") from None

    async def _body(self, receive) -> bytes:
        """The whole body."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            body += message.get("body", b"")
            if len(body) > self.config.max_body_bytes:
                raise self._too_large()
            if not message.get("more_body"):
                return bytes(body)

    def _check_rate(self, scope) -> None:
        if self._rates is None or scope["path"] in PROBES:
            return
        wait = self._rates.wait(_client(scope), time.monotonic())
        if wait:
            rate = f"{self.config.requests_per_second:g} requests a second (serving.requests_per_second)"
            raise _Refused(429, f"this client has sent more than {rate}", "rate", wait)

    def _check_headers(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        values = dict(headers)
        length = values.get(b"content-length", b"0")
        if not length.isdigit():
            raise _Refused(400, "Content-Length is no number")
        if int(length) > self.config.max_body_bytes:
            raise self._too_large()
        if not needs_key(path):
            return
        if self.key:
            if not hmac.compare_digest(values.get(KEY_NAME.lower().encode(), b""), self.key):
                raise _Refused(401, f"the header {KEY_NAME} is missing or wrong")
            return
        texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        if not is_own(texts, self.hosts):
            raise _Refused(403, REFUSAL.decode().strip())

    def _late(self) -> _Refused:
        within = f"within {self.config.request_seconds:g} seconds (serving.request_seconds)"
        return _Refused(503, f"the request could not be answered {within}; send it again", "time", RETRY_SECONDS)

    def _too_large(self) -> _Refused:
        most = self.config.max_body_bytes
        return _Refused(413, f"the body has more than {most} bytes (serving.max_body_bytes)", "size")


def _client(scope) -> str:
    """Whose rate a request counts to: its address, or the /64 network of an IPv6 address, which is one customer's."""
    host = scope["client"][0] if scope.get("client") else ""
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(getattr(address, "ipv4_mapped", None) or address)


async def _answer(send, refused: _Refused) -> None:
    body = json.dumps({"detail": refused.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")]  # an unread body would be taken for the next request
    if refused.retry is not None:
        headers += [(b"retry-after", str(math.ceil(refused.retry)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
