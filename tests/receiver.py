"""A webhook's receiver on loopback that remembers what it was sent."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    body: bytes
    headers: dict[str, str]
    at: float


@contextmanager
def receiver(*answers: int) -> Iterator[tuple[str, list[Request]]]:
    """Its address and what it receives; it gives the statuses `answers` in turn, then 200."""
    due, received = list(answers), []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(Request(body, dict(self.headers), time.monotonic()))
            self.send_response(due.pop(0) if due else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *parts):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        server.server_close()
