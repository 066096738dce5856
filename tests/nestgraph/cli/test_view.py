"""`nestgraph view`: its address, and how it ends."""

from __future__ import annotations

import errno
import os
import signal
import socket
import socketserver
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C to another process")
def test_it_prints_its_address_serves_and_ends_on_ctrl_c(write, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nestgraph", "view", str(write())]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert b"small" in answer.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "Interrupted.\n")


def test_a_port_that_is_taken_is_a_sentence(run, write) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("view", write(), "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert "NG810" in result.stderr
    assert "--port" in result.stderr


def test_a_port_that_may_not_be_opened_is_not_called_taken(run, write, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socketserver.TCPServer, "server_bind", refuse)

    result = run("view", write(), "--port", 80)

    assert result.exit_code == 2
    assert "NG810 port 80 of 127.0.0.1 can't be opened: Permission denied; give" in result.stderr
