"""The page of `nestgraph view`: served to this machine alone, told of every change."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from nestgraph.viz.page import harmless, page
from nestgraph.viz.watch import Watched

HOST = "127.0.0.1"
_LOOK = 0.05  # seconds between two looks at the files
_QUIET = 10.0  # seconds after which an idle page is told that the server lives


class Server(ThreadingHTTPServer):
    """Serves some specs until it is closed.

    Attributes:
        specs: what is shown, one column each.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, specs: Sequence[Watched], port: int = 0) -> None:
        super().__init__((HOST, port), _Handler)
        self.specs = specs
        self.changed = threading.Condition()
        self.closing = False

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def run(self) -> None:
        """Serves, and looks at the files, until it is interrupted."""
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
        """Reads what has changed, and wakes the pages that wait for it."""
        if any([spec.look() for spec in self.specs]):
            with self.changed:
                self.changed.notify_all()

    def stop(self) -> None:
        """Lets go of the port and of every page."""
        self.closing = True
        with self.changed:
            self.changed.notify_all()
        self.shutdown()
        self.server_close()

    def versions(self) -> list[int]:
        """How often each spec has been read."""
        return [spec.version for spec in self.specs]

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle of an answer is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "nestgraph"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers with the page, with one spec, or with news."""
        if not self._is_for_us():
            # Another site whose name was made to point here must not read specs.
            self._send(HTTPStatus.FORBIDDEN, "text/plain", "not served under this name\n")
            return
        path = urlsplit(self.path).path
        wanted = path.removeprefix("/spec/")
        if path == "/":
            text = page([spec.data for spec in self.server.specs], live=True)
            self._send(HTTPStatus.OK, "text/html", text)
        elif path == "/events":
            self._news()
        elif wanted.isdecimal() and wanted != path and int(wanted) < len(self.server.specs):
            data = self.server.specs[int(wanted)].data
            self._send(HTTPStatus.OK, "application/json", harmless(data))
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", "there is nothing here\n")

    def _is_for_us(self) -> bool:
        port = self.server.server_address[1]
        return self.headers.get_all("Host", []) in [[f"{HOST}:{port}"], [f"localhost:{port}"]]

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode()
        self._head(status, kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")

    def _news(self) -> None:
        """A line for each spec that changes, for as long as the browser listens."""
        self.close_connection = True
        self._head(HTTPStatus.OK, "text/event-stream")
        self.end_headers()
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
        """Says nothing: the terminal belongs to the author of the spec."""
