"""Commands of nestgraph in processes that are forked from one that has imported everything.

Run as a program, it reads a request a line (JSON: the arguments, the folder, where output goes,
and at which write the process ends itself), forks, prints the number of the new process, waits for
its end and prints the status. A command so begins in milliseconds, where a fresh interpreter takes
seconds to import PyTorch.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class End:
    """How a command ended.

    Attributes:
        status: of its exit, or less than 0 the signal that ended it.
        said: its output and its errors.
        seconds: that it took.
        steps: that its writes had; each has four, before and after it is flushed and before and
            after it takes its place.
    """

    status: int
    said: str
    seconds: float
    steps: int


class Forks:
    """The process that forks; a command at a time."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            # -P: beside this file lies a folder `nestgraph` of tests.
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End it."""
        self._server.communicate()

    def run(
        self,
        arguments: Sequence[object],
        folder: Path,
        *,
        number: int = 0,
        after: float | None = None,
        write: int | None = None,
    ) -> End:
        """Run a command, and perhaps kill it.

        Args:
            arguments: of `nestgraph`.
            folder: to work in.
            number: the signal.
            after: seconds until the signal is sent.
            write: at which step of all its writes it is sent instead.
        """
        output, steps = folder / "output.txt", folder / "steps.txt"
        began = time.monotonic()
        request = {
            "arguments": [str(one) for one in arguments],
            "folder": str(folder),
            "output": str(output),
            "steps": str(steps),
            "write": write,
            "number": number,
        }
        process = int(self._ask(json.dumps(request)))
        if after is not None:
            time.sleep(after)
            os.kill(process, number)  # one that has ended is not yet waited for
        status = int(self._ask("wait"))
        seconds = time.monotonic() - began
        said = output.read_text(encoding="utf-8", errors="replace")
        counted = len(steps.read_bytes()) if steps.is_file() else 0
        return End(status=status, said=said, seconds=seconds, steps=counted)

    def _ask(self, line: str) -> str:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(line, file=self._server.stdin, flush=True)
        return self._server.stdout.readline()


def serve() -> None:
    """Fork as it is asked to, until its input ends."""
    from nestgraph.cli import generate, train  # noqa: F401
    from nestgraph.training import fit, states, stream  # noqa: F401
    from nestgraph.viz import draw  # noqa: F401

    for line in sys.stdin:
        process = os.fork()
        if not process:
            command(json.loads(line))
        print(process, flush=True)
        sys.stdin.readline()
        # Not reaped until it was asked for, so that its number stays its own.
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def command(request: dict[str, Any]) -> None:
    """Do what a forked process does."""
    from nestgraph import cli

    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch_writes(Path(request["steps"]), request["write"], request["number"])
    status = 1
    try:
        sys.argv = ["nestgraph", *request["arguments"]]
        cli.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # what a program without a fork would print
        sys.excepthook(*sys.exc_info())
    finally:
        for text in (sys.stdout, sys.stderr):
            text.flush()
        os._exit(status)


def watch_writes(steps: Path, fatal: int | None, number: int) -> None:
    """Count the steps of this process's writes, and sends it a signal at one of them."""
    counted = os.open(steps, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def step() -> None:
        if os.lseek(counted, 0, os.SEEK_CUR) == fatal:
            os.kill(os.getpid(), number)
        os.write(counted, b".")

    def around(deed: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*given: Any) -> Any:
            step()
            result = deed(*given)
            step()
            return result

        return watched

    os.fsync = around(os.fsync)
    Path.replace = around(Path.replace)  # type: ignore[method-assign]


if __name__ == "__main__":
    serve()
