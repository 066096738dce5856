"""Requests that no browser sends: each is answered or closed, and the server goes on."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from building import model_text

from nestgraph.viz.live.connections import Connections
from nestgraph.viz.live.serve import HOST, Server
from nestgraph.viz.live.watch import Watched

TEXT = model_text("nodes:\n  out: {op: affine, in: x, scale: 2}\n", 8, "{}")
PATIENCE = 0.4


@pytest.fixture
def server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Server]:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT)
    connections = Connections(most=6, listening=2, patience=PATIENCE)
    server = Server([Watched(name=str(path), changes={})], connections=connections)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    assert served(server)
    server.closing = True
    thread.join(60)
    assert not thread.is_alive()
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out == ""


def served(server: Server) -> bool:
    """Return whether the page comes, as soon as those before have gone."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        answer = b""
        with contextlib.suppress(OSError):
            answer = asked(server, request(server, "GET /spec/0 HTTP/1.1"))
        if answer and status(answer) == 200:
            return True
        time.sleep(0.05)
    return False


def connected(server: Server) -> socket.socket:
    return socket.create_connection((HOST, server.server_address[1]), timeout=30)


def asked(server: Server, sent: bytes) -> bytes:
    """Return all that comes back for some bytes, after which nothing follows."""
    with connected(server) as client:
        client.sendall(sent)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        return everything(client)


def everything(client: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            found += part
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def request(server: Server, line: str, *more: str) -> bytes:
    host = f"Host: {HOST}:{server.server_address[1]}"
    return "\r\n".join((line, host, "Connection: close", *more, "", "")).encode("latin-1")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET / HTTP/1.1", 200),
        ("HEAD / HTTP/1.1", 200),
        ("HEAD /spec/0 HTTP/1.1", 200),
        ("HEAD /events HTTP/1.1", 200),
        ("POST / HTTP/1.1", 501),
        ("OPTIONS * HTTP/1.1", 501),
        ("get / HTTP/1.1", 501),
        ("BREW /pot HTTP/1.1", 501),
        ("GET http://[ HTTP/1.1", 400),
        ("GET http://evil.example/ HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET //evil.example/ HTTP/1.1", 404),
        ("GET /%zz HTTP/1.1", 404),
        ("GET /%00%ff%2e%2e/ HTTP/1.1", 404),
        ("GET /spec/%30 HTTP/1.1", 404),
        ("GET /spec/" + "9" * 5000 + " HTTP/1.1", 404),
        ("GET /spec/\xb2 HTTP/1.1", 404),
        ("GET /../../etc/passwd HTTP/1.1", 404),
        ("GET /" + "a" * 70000 + " HTTP/1.1", 414),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.x", 400),
        ("GET / HTTP/" + "1" * 5000 + ".1", 400),
        ("GET / FTP/1.1", 400),
        ("GET", 400),
        ("GET / / / HTTP/1.1", 400),
        ("\x00\x01\x02\xff", 400),
        ("\x16\x03\x01\x02\x00\x01 \x01\xfc", 400),  # as TLS begins
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_every_request_line_is_answered(server: Server, line: str, expected: int) -> None:
    answer = asked(server, request(server, line))

    assert status(answer) == expected
    if line.startswith("HEAD"):
        assert answer.endswith(b"\r\n\r\n")
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["X: " + "a" * 70000], 431),
        ([f"X{number}: y" for number in range(200)], 431),
        (["Host: evil.example"], 403),  # a second one
        (["no colon"], 200),
        (["X: \x1b[2J\xff"], 200),
        (["Content-Length: -5"], 200),
        (["Content-Length: 99999999999999999999"], 200),
        (["Transfer-Encoding: chunked"], 200),
        (["Expect: 100-continue"], 200),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_odd_headers_are_answered(server: Server, headers: list[str], expected: int) -> None:
    answer = asked(server, request(server, "GET /spec/0 HTTP/1.1", *headers))

    assert status(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")) == expected


def test_what_follows_a_request_with_a_body_is_no_request(server: Server) -> None:
    body = b"GET /spec/0 HTTP/1.1\r\n\r\n"
    sent = request(server, "GET /nothing HTTP/1.1", f"Content-Length: {len(body)}") + body

    assert asked(server, sent).count(b"HTTP/1.1 ") == 1


def test_random_bytes_are_answered_or_closed(server: Server) -> None:
    draw = random.Random(3)
    for _ in range(40):
        answer = asked(server, draw.randbytes(draw.randrange(200)) + b"\r\n\r\n")
        assert answer == b"" or status(answer) >= 400


def test_a_request_that_breaks_off_ends_its_connection(server: Server) -> None:
    whole = request(server, "GET / HTTP/1.1")
    for length in range(0, len(whole), 7):
        answer = asked(server, whole[:length])
        assert answer == b"" or status(answer) in (200, 400, 403)


def test_who_asks_letter_by_letter_is_cut_off(server: Server) -> None:
    began = time.monotonic()
    with connected(server) as client, contextlib.suppress(OSError):
        for letter in b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000:
            client.sendall(bytes([letter]))
            time.sleep(0.02)
            if time.monotonic() - began > 20:
                break
    assert time.monotonic() - began < 10


def test_who_says_nothing_is_cut_off_and_frees_the_place(server: Server) -> None:
    silent = [connected(server) for _ in range(6)]

    for client in silent:
        assert everything(client) == b""
        client.close()


def test_more_connections_than_there_are_places_are_told_so(server: Server) -> None:
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(connected(server)) for _ in range(12)]
        answers = [everything(client) for client in clients]

    refused = [answer for answer in answers if answer]
    assert refused
    assert all(status(answer) == 503 for answer in refused)
    assert all(answer.endswith(b"close some, and reload\n") for answer in refused)


def test_pages_beyond_the_bound_are_told_so_and_find_a_place_later(server: Server) -> None:
    listen = request(server, "GET /events HTTP/1.1")
    with connected(server) as first, connected(server) as second:
        for client in (first, second):
            client.sendall(listen)
            assert status(client.recv(65536)) == 200
        answer = asked(server, listen)
        assert status(answer) == 503
        assert answer.endswith(b"too many pages are open; close some, and reload\n")
    server.specs[0].version += 1  # something to tell those who have left
    until = time.monotonic() + 30
    found = 503
    while found == 503 and time.monotonic() < until:
        with server.changed:
            server.changed.notify_all()
        with connected(server) as client:
            client.sendall(listen)
            found = status(client.recv(65536))
        server.specs[0].version += 1
    assert found == 200


def test_a_client_that_resets_its_connection_does_no_harm(server: Server) -> None:
    for line in ("GET / HTTP/1.1", "GET /events HTTP/1.1", "GET /spec/0 HTTP/1.1"):
        with connected(server) as client:
            client.sendall(request(server, line))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
