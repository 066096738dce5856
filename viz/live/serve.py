"""The page of `nestgraph view`: served to this machine alone, told of every change.

Whatever is asked gets an answer of HTTP, or a closed connection, and the server goes on.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nestgraph.viz.live.connections import Connections, part_from
from nestgraph.viz.live.watch import Watched
from nestgraph.viz.page import harmless, page

HOST = "127.0.0.1"
_LOOK = 0.05  # seconds between two looks at the files
_FULL = "too many pages are open; close some, and reload"
_QUIET = 10.0  # seconds after which an idle page is told that the server lives


class Server(ThreadingHTTPServer):
    """Serves some specs until it is closed.

    Attributes:
        specs: what is shown, one column each.
        connections: those that are open.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, specs: Sequence[Watched], port: int = 0, connections: Connections | None = None
    ) -> None:
        super().__init__((HOST, port), _Handler)
        self.specs = specs
        self.connections = connections or Connections()
        self.changed = threading.Condition()
        self.closing = False

    @property
    def address(self) -> str:
        """Return where a browser finds the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def run(self) -> None:
        """Serve, and look at the files, until it is interrupted."""
        serving = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        try:
            while not self.closing:
                self.look()
                time.sleep(_LOOK)
        finally:
            self.stop()
            serving.join()

    def look(self) -> None:
        """Read what has changed, and wake the pages that wait for it."""
        if any([spec.look() for spec in self.specs]):
            with self.changed:
                self.changed.notify_all()

    def stop(self) -> None:
        """Let go of the port and of every page."""
        self.closing = True
        with self.changed:
            self.changed.notify_all()
        self.shutdown()
        self.server_close()

    def versions(self) -> list[int]:
        """Return how often each spec has been read."""
        return [spec.version for spec in self.specs]

    def service_actions(self) -> None:
        """End the connections that are late, between two looks at who comes."""
        self.connections.cut_late()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection its thread, or tells it that there are too many."""
        if self.connections.enter():
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.settimeout(_LOOK)
            request.sendall(_refusal())
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection until it ends, and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave()

    def shutdown_request(self, request: Any) -> None:
        """End a connection so that its last answer arrives."""
        part_from(request)
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a browser that goes away in the middle of an answer."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "nestgraph"
    sys_version = ""

    default_request_version = "HTTP/1.0"  # what says no version hears one all the same
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(message)s\n"

    def setup(self) -> None:
        """Give up a client that reads nothing, too."""
        super().setup()
        self.connection.settimeout(self.server.connections.patience)

    def handle_one_request(self) -> None:
        """Answer one request, which has to be whole in time; a client that goes away ends it."""
        self.server.connections.expect(self.connection)
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True
        finally:
            self.server.connections.heard(self.connection)

    def do_HEAD(self) -> None:
        """Answer as to `GET`, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with the page, with one spec, or with news."""
        self.server.connections.heard(self.connection)
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is no request
        if not self._is_for_us():
            # Another site whose name was made to point here must not read specs.
            self._tell(HTTPStatus.FORBIDDEN, "not served under this name")
            return
        if not self.path.startswith("/"):
            self._tell(HTTPStatus.BAD_REQUEST, "ask for a path, which begins with `/`")
            return
        path = self.path.partition("?")[0].partition("#")[0]
        specs = {f"/spec/{at}": spec for at, spec in enumerate(self.server.specs)}
        if path == "/":
            text = page([spec.data for spec in self.server.specs], live=True)
            self._send(HTTPStatus.OK, "text/html", text)
        elif path == "/events":
            with self.server.connections.listening() as seated:
                if seated:
                    self._news()
                else:
                    self._tell(HTTPStatus.SERVICE_UNAVAILABLE, _FULL)
        elif path in specs:
            self._send(HTTPStatus.OK, "application/json", harmless(specs[path].data))
        else:
            self._tell(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _is_for_us(self) -> bool:
        port = self.server.server_address[1]
        return self.headers.get_all("Host", []) in [[f"{HOST}:{port}"], [f"localhost:{port}"]]

    def _tell(self, status: HTTPStatus, sentence: str) -> None:
        self._send(status, "text/plain", f"{sentence}\n")

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode()
        self._head(status, kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")

    def _news(self) -> None:
        """Send a line for each spec that changes, for as long as the browser listens."""
        self.close_connection = True
        self._head(HTTPStatus.OK, "text/event-stream")
        self.end_headers()
        if self.command == "HEAD":
            return
        known = [0] * len(self.server.specs)  # what it has: nobody knows, so it is told all
        while not self.server.closing:
            versions = self.server.versions()
            for at, version in enumerate(versions):
                if version != known[at]:
                    news = json.dumps({"at": at, "stamp": version})
                    self.wfile.write(f"data: {news}\n\n".encode())
            known = versions
            self.wfile.write(b": alive\n\n")
            self.wfile.flush()
            with self.server.changed:
                if self.server.versions() == known and not self.server.closing:
                    self.server.changed.wait(_QUIET)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the author of the spec."""


def _refusal() -> bytes:
    """Return the answer to a connection that there is no place for."""
    told = f"{_FULL}\n".encode()
    head = (
        f"HTTP/1.1 {HTTPStatus.SERVICE_UNAVAILABLE} Service Unavailable",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(told)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + told
