"""Who may write: one process to a run folder, one to a file of a state.

A lock is a file that names its owner: machine, process, since when. The kernel's own lock on that
file tells whether the owner lives: it goes with its process however that ends, so a file that was
left by a killed one binds nobody, whoever has its number now. The kernel knows nothing of other
machines on a shared disk, nor do some file systems lock at all; there the words in the file count.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nestgraph.errors import InputError
from nestgraph.training.files import unwritable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RUN_LOCK = "lock"  # in a run folder
ENDING = ".lock"  # behind the name of a file
TRIES = 100  # each fails only where another process lets go just then
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A process that writes.

    Attributes:
        host: name of its machine.
        boot: which start of the machine, where the system tells; else empty.
        pid: its number.
        started: when it began, as the system counts; tells it from a later one of its number.
        since: when it took the lock.
    """

    host: str
    boot: str
    pid: int
    started: str
    since: str

    @classmethod
    def here(cls) -> Owner:
        """Return this process, from now on."""
        return cls(
            host=socket.gethostname(),
            boot=_boot(),
            pid=os.getpid(),
            started=_started(os.getpid()),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @classmethod
    def of(cls, text: bytes) -> Owner | None:
        """Return the owner that a lock names; None where it names none, such as one just begun."""
        try:
            found = cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
        strings = (found.host, found.boot, found.started, found.since)
        whole = isinstance(found.pid, int) and all(isinstance(one, str) for one in strings)
        return found if whole else None

    def elsewhere(self) -> bool:
        """Return whether it is on another machine, of which nothing can be known here."""
        return self.host != socket.gethostname() and not (self.boot and self.boot == _boot())

    def lives(self) -> bool:
        """Return whether the process, which is of this machine, is still there."""
        if self.boot != _boot() or self.started != _started(self.pid):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):  # somebody else's, or none that could be asked
            return True
        return True


@contextlib.contextmanager
def sole_writer(what: Path) -> Iterator[None]:
    """Keep all others from writing to a run folder, or to a file, inside the block.

    Raises:
        InputError: when another process writes there, or nothing can be written.
    """
    target = what.resolve()  # one file, whatever links lead to it
    place = target / RUN_LOCK if what.is_dir() else target.with_name(target.name + ENDING)
    held = _taken(place, what)
    try:
        yield
    finally:
        # Removed before it is let go: whoever waits for it then sees that it is no more.
        with contextlib.suppress(OSError):
            place.unlink()
        os.close(held)


def _taken(place: Path, what: Path) -> int:
    for _ in range(TRIES):
        try:
            file = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise unwritable(what, error) from error
        try:
            known = _lock(file)
            if not _is_at(file, place):
                os.close(file)
                continue
            _require_free(what, place, Owner.of(os.read(file, 4096)), known)
            _sign(file, place)
        except OSError as error:
            os.close(file)
            raise unwritable(what, error) from error
        except BaseException:
            os.close(file)
            raise
        return file
    raise _in_use(what, None)


def _lock(file: int) -> bool | None:
    """Return whether the kernel gives this process the file; None where it can't say."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise
    return True


def _require_free(what: Path, place: Path, owner: Owner | None, known: bool | None) -> None:
    if known is False:
        raise _in_use(what, owner)
    if owner is None:
        return
    if owner.elsewhere():
        raise InputError(
            "NG724",
            f"`{what}` is written to by process {owner.pid} on {owner.host}, since {owner.since}",
            f"wait for its end; if that machine has lost it, delete `{place}` and try again",
        )
    if known is None and owner.lives():
        raise _in_use(what, owner)


def _in_use(what: Path, owner: Owner | None) -> InputError:
    who = f"process {owner.pid} on {owner.host}, since {owner.since}" if owner else "another one"
    hint = "wait for its end, or stop it, or write elsewhere"
    return InputError("NG724", f"`{what}` is written to by {who}", hint)


def _sign(file: int, place: Path) -> None:
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(asdict(Owner.here())).encode(), 0)
    except OSError:  # a full disk
        place.unlink()
        raise


def _is_at(file: int, place: Path) -> bool:
    """Return whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), place.stat())
    except FileNotFoundError:
        return False


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""


def _started(process: int) -> str:
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return line.rpartition(")")[2].split()[19]  # the name before it may hold anything
    return ""
