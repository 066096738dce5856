"""How a command ends when it can't go on: a sentence on stderr and an exit status, no traceback.

2 is a finding about what the user gave, 130 an interruption, 141 a reader that went away.
Anything else that escapes is a bug of nestgraph and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from nestgraph.errors import SpecError

USER_ERROR = 2
INTERRUPTED = 130
READER_GONE = 141


class PoliteGroup(TyperGroup):
    """The group of all commands; turns the errors that users cause into text."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a full disk or a closed pipe often shows only here
        except KeyboardInterrupt:
            return end("Interrupted.", INTERRUPTED)
        except BrokenPipeError:
            return end("", READER_GONE)
        except SpecError as error:
            return end(str(error), USER_ERROR)
        except OSError as error:
            return end(sentence(error), USER_ERROR)
        return result


def end(message: str, status: int) -> Any:
    """Leaves the command with a message on stderr."""
    _drop_unwritable_output()
    if message:
        typer.echo(message, err=True)
    raise typer.Exit(status)


def sentence(error: OSError) -> str:
    """An error of the operating system as one sentence with its file and a cure where known."""
    place = f"`{error.filename}`: " if error.filename is not None else ""
    cause = error.strerror or str(error)
    cure = {
        errno.ENOSPC: "; free some space, or write elsewhere",
        errno.EDQUOT: "; free some space, or write elsewhere",
        errno.EFBIG: "; raise the limit on file size, or write elsewhere",
        errno.EACCES: "; choose a place that you may use",
        errno.EROFS: "; choose a place that you may write to",
    }.get(error.errno or 0, "")
    return f"{place}{cause}{cure}"


def _drop_unwritable_output() -> None:
    # Python flushes stdout once more at exit and would print a traceback of its own.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
