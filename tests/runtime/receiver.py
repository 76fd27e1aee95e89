"""A web server that takes alerts, on a thread of its own. Holds no tests."""

from __future__ import annotations

import http.server
import json
import queue
import ssl
import threading
from typing import Any, Self

PATIENCE_S = 40.0


class Receiver(http.server.ThreadingHTTPServer):
    """Answers with the next of `statuses`, else with 200."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.statuses: list[int] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.bodies: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join(PATIENCE_S)
        self.server_close()

    def url(self, path: str = "/hooks/s3cret?token=t0ken") -> str:
        host = "127.0.0.1" if self.scheme == "http" else "localhost"
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def next(self, event: str, kind: str) -> dict[str, Any]:
        """The next alert of this kind; others before it are passed over. Raises queue.Empty when none comes."""
        while True:
            body = self.bodies.get(timeout=PATIENCE_S)
            if (body["event"], body["kind"]) == (event, kind):
                return body

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what a test wants."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self.server.requests.append((self.path, dict(self.headers)))
        self.server.bodies.put(body)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quiet."""
