"""Who is connected to a server: how many at most, and until when each must have asked.

A client that opens many connections, or says its request letter by letter, costs a bounded
number of threads for a bounded time.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

MOST = 128  # connections at once
MOST_LISTENING = 32  # of them that wait for news: pages that are open
PATIENCE = 10.0  # seconds for a whole request, and for reading an answer
_LINGER = 0.2  # seconds in which what is left of a refused request is read, so that it is answered
_LEFT = 64  # and the most parts of it
_PART = 65536  # bytes


class Connections:
    """Counts connections, and cuts those that are late.

    Attributes:
        patience: seconds that a client has for a request, and for reading an answer.
    """

    def __init__(
        self, most: int = MOST, listening: int = MOST_LISTENING, patience: float = PATIENCE
    ) -> None:
        self.patience = patience
        self._free = threading.BoundedSemaphore(most)
        self._chairs = threading.BoundedSemaphore(listening)
        self._due: dict[socket.socket, float] = {}
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Take a place, unless all are taken."""
        return self._free.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()

    @contextlib.contextmanager
    def listening(self) -> Iterator[bool]:
        """Provide whether there is a place for one more page that waits for news, held in the
        block.
        """
        taken = self._chairs.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._chairs.release()

    def expect(self, client: socket.socket) -> None:
        """Expect that from now on a client has to finish its next request in time."""
        with self._lock:
            self._due[client] = time.monotonic() + self.patience

    def heard(self, client: socket.socket) -> None:
        """Note that a client has asked, or is gone."""
        with self._lock:
            self._due.pop(client, None)

    def cut_late(self) -> None:
        """End what the late have begun: whoever reads from them finds the end."""
        now = time.monotonic()
        with self._lock:
            late = [client for client, due in self._due.items() if due < now]
            for client in late:
                del self._due[client]
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)


def part_from(client: socket.socket) -> None:
    """Say that nothing follows, and read what the client still sends, for a moment.

    To close at once would throw away an answer that is on its way.
    """
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(_LINGER)
        for _ in range(_LEFT):
            if not client.recv(_PART):
                return
