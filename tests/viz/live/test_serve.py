"""The server of `nestgraph view`: who is answered, and with what."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from building import model_text

from nestgraph.viz.live.serve import HOST, Server
from nestgraph.viz.live.watch import Watched

TEXT = model_text("nodes:\n  out: {op: affine, in: x, scale: 2}\n", 8, "{}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    server = Server([Watched(name=str(path), changes={}), Watched(name="m", changes={})])
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.closing = True
    thread.join(60)
    assert not thread.is_alive()


def get(
    server: Server, target: str = "/", host: str | None = None
) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(HOST, server.server_address[1], timeout=60)
    connection.request("GET", target, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def test_it_listens_on_this_machine_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address.startswith("http://127.0.0.1:")


def test_the_page_holds_all_specs_and_listens(server: Server) -> None:
    status, headers, text = get(server)
    assert status == 200
    assert '"live":true' in text
    assert "connect-src 'self'" in text
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", ""]
)
@pytest.mark.parametrize("target", ["/", "/spec/0", "/events"])
def test_foreign_names_are_refused(server: Server, host: str, target: str) -> None:
    assert get(server, target, host)[0] == 403


def test_localhost_is_answered(server: Server) -> None:
    assert get(server, host=f"localhost:{server.server_address[1]}")[0] == 200


@pytest.mark.parametrize("target", ["/spec/2", "/spec/-1", "/spec/", "/spec/x", "/etc/passwd"])
def test_there_is_nothing_else(server: Server, target: str) -> None:
    assert get(server, target)[0] == 404


def test_only_reading_is_possible(server: Server) -> None:
    connection = http.client.HTTPConnection(HOST, server.server_address[1], timeout=60)
    connection.request("POST", "/", body=b"x")
    assert connection.getresponse().status == 501
    connection.close()


def test_a_spec_is_harmless_json(server: Server) -> None:
    status, headers, text = get(server, "/spec/0?7")
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert "<" not in text
    assert json.loads(text)["name"] == "test"


def test_news_tell_of_a_save(server: Server, path: Path) -> None:
    connection = http.client.HTTPConnection(HOST, server.server_address[1], timeout=60)
    connection.request("GET", "/events")
    answer = connection.getresponse()

    def news() -> dict[str, int]:
        while not (line := answer.readline()).startswith(b"data: "):
            assert line
        found: dict[str, int] = json.loads(line.removeprefix(b"data: "))
        return found

    assert [news(), news()] == [{"at": 0, "stamp": 1}, {"at": 1, "stamp": 1}]
    path.write_text(TEXT.replace("scale: 2", "scale: 33"))
    os.utime(path, ns=(1, 1))
    assert news()["stamp"] > 1
    while "scale 33" not in get(server, "/spec/0")[2]:
        news()  # a look may fall between any two of the system calls above
    connection.close()
