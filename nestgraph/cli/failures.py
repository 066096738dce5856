"""How a command ends when it can't go on: a sentence on stderr and an exit status, no traceback.

2 is a finding about what the user gave, 130 an interruption (by Ctrl-C, or of a training by another
signal), 141 a reader that went away. Anything else that escapes is a bug of nestgraph and keeps its
traceback.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from nestgraph.cli.saying import say
from nestgraph.errors import InputError, InputWarning, SpecError
from nestgraph.system_errors import cure_of

USER_ERROR = 2
INTERRUPTED = 130
READER_GONE = 141
PLACES = ("--out", "-o", "--resume", "--weights", "--state", "--data")  # options that name one
TAKES_BYTES = {"generate"}  # for its prompt; it looks at its other arguments itself


class PoliteGroup(TyperGroup):
    """The group of all commands; turns the errors that users cause into text."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name not in TAKES_BYTES:
            require_text(rest)
        require_places(rest)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            with _told_as_notes(), _kept_interruptions():
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


@contextlib.contextmanager
def _told_as_notes() -> Iterator[None]:
    """Provide warnings about what the user gave are sentences on stderr; all others stay as they
    are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, InputWarning):
                say(f"note: {message}", err=True)
            else:
                others(message, category, *place, **more)

        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _kept_interruptions() -> Iterator[None]:
    """Let Ctrl-C arrive as one, also where others' code makes an error of their own of it."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or not _in_main_thread():
        yield
        return
    pressed = False

    def receive(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, receive)
    try:
        yield
    except SpecError:
        raise
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def require_text(arguments: Iterable[object]) -> None:
    """Make sure that the shell gave text: Python keeps other bytes as halves of characters.

    Raises:
        InputError: naming the first argument that isn't.
    """
    for argument in map(str, arguments):
        if not is_text(argument):
            shown = argument.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")
            raise InputError("NG748", f"the argument `{shown}` is not UTF-8", "write it as UTF-8")


def require_places(arguments: Iterable[object]) -> None:
    """Make sure that no place is named by nothing, as by a variable of the shell that isn't set.

    An empty path would mean the working folder.

    Raises:
        InputError: naming the option.
    """
    for option, value in itertools.pairwise([*map(str, arguments), "."]):
        name, equals, _ = option.partition("=")
        empty = option == f"{name}=" if equals else not value
        if empty and name in PLACES:
            raise InputError("NG725", f"`{name}` names nothing", "give a path, or leave it away")


def is_text(argument: str) -> bool:
    """Return whether all of it can be written as UTF-8."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def end(message: str, status: int) -> Any:
    """Leave the command with a message on stderr."""
    _drop_unwritable_output()
    if message:
        say(message, err=True)
    raise typer.Exit(status)


def sentence(error: OSError) -> str:
    """Return an error of the operating system as one sentence with its file and a cure where
    known.
    """
    place = f"`{error.filename}`: " if error.filename is not None else ""
    cause, cure = error.strerror or str(error), cure_of(error)
    return f"{place}{cause}; {cure}" if cure else f"{place}{cause}"


def _drop_unwritable_output() -> None:
    # Python flushes stdout once more at exit and would print a traceback of its own.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
