"""Where the text of a spec comes from: the disk, or texts kept in a checkpoint.

A name is seen from the file that wrote it: the file beside that one wins over a shipped spec. What
nobody wrote, such as the optimizer of a spec that names none, is the shipped one wherever that is.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from nestgraph.errors import Span
from nestgraph.findings import did_you_mean
from nestgraph.language import zoo

MAX_BYTES = 1_000_000


class UnreadableError(Exception):
    """Raised when a spec can't be found or read.

    Attributes:
        hint: what to do.
        span: where in the file, for a file that can't be decoded.
    """

    def __init__(self, message: str, hint: str = "", span: Span | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.span = span


class Reader(Protocol):
    """Finds and reads specs by name."""

    def find(self, name: str, beside: str | None = None) -> str:
        """Return the file that `name` means, seen from the file `beside`, or from where the user
        is.
        """

    def shipped(self, name: str) -> str | None:
        """Return the file of the shipped spec of that name, whatever lies anywhere else."""

    def ships(self, file: str) -> bool:
        """Return whether a file is a shipped spec."""

    def read(self, file: str) -> str:
        """Return the text of a file."""


class Disk:
    """Specs of the disk and of the zoo: a path, a name in the same folder, a zoo name.

    Args:
        here: from where names are seen that no file says.
    """

    def __init__(self, here: Path = Path()) -> None:
        self.here = here

    def find(self, name: str, beside: str | None = None) -> str:
        """Return the file that a path or zoo name means.

        Raises:
            UnreadableError: when there is none.
        """
        folder = Path(beside).parent if beside is not None else self.here
        try:
            for path in (folder / name, folder / f"{name}.yaml"):
                if path.is_file():
                    return _shortest(path)
            shipped = self.shipped(name)
            if shipped is not None:
                return shipped
            raise self._absent(folder, name)
        except (OSError, ValueError) as error:
            raise _unopened(name, error) from None

    def shipped(self, name: str) -> str | None:
        """Return the file of the shipped spec of that name, whatever lies anywhere else."""
        path = zoo.path(name)
        return None if path is None else shown(path)

    def ships(self, file: str) -> bool:
        """Return whether a file is a shipped spec."""
        return Path(file).resolve().parent == zoo.folder().resolve()

    def read(self, file: str) -> str:
        """Return the text of a file.

        Raises:
            UnreadableError: when it can't be read, is no UTF-8 or is far too long.
        """
        try:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise _unopened(file, error) from None
        if len(data) > MAX_BYTES:
            message = f"`{file}` is longer than {MAX_BYTES:,} bytes"
            raise UnreadableError(message, "name a spec; this can't be one")
        return decode(data, file)

    def _absent(self, folder: Path, name: str) -> UnreadableError:
        path = folder / name
        if name and path.is_dir():
            return UnreadableError(f"`{name}` is a folder", "name one of the specs in it")
        if path.exists():
            return UnreadableError(f"`{name}` is not a file", "name a YAML file")
        for link in (path, folder / f"{name}.yaml"):
            if why := broken_link(link):
                return UnreadableError(why, "mend the link, or name a spec")
        near = [other.name for other in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        bare = Path(name).name
        hint = did_you_mean(bare, [*zoo.names(), *zoo.optimizers(), *near], limit=0)
        return UnreadableError(
            f"no file and no shipped spec is called `{name}`",
            hint or "`nestgraph list` shows the shipped specs",
        )


class Texts:
    """Specs kept as texts by file name.

    Args:
        texts: by the names that the files had.
        shipped: which of them are shipped specs; None for texts that don't say so.
    """

    def __init__(self, texts: Mapping[str, str], shipped: Iterable[str] | None = None) -> None:
        self.texts = texts
        self.kept = None if shipped is None else frozenset(shipped)

    def find(self, name: str, beside: str | None = None) -> str:
        """Return the text that `name` meant when the specs were read from the disk.

        Raises:
            UnreadableError: when none of the texts fits.
        """
        folder = PurePosixPath(beside).parent if beside is not None else PurePosixPath()
        for path in (folder / name, folder / f"{name}.yaml"):
            for file in (path.as_posix(), posixpath.normpath(path)):
                if file in self.texts:
                    return file
        if self.kept is None:  # they may be texts of 0.1.0, which saw some names from elsewhere
            fitting = self._called(PurePosixPath(name).name.removesuffix(".yaml"))
        else:
            fitting = [file for file in self._called(name) if file in self.kept]
        if len(fitting) == 1:
            return fitting[0]
        raise UnreadableError(f"`{name}` is not among the texts kept", "they may be incomplete")

    def shipped(self, name: str) -> str | None:
        """Return the text of the shipped spec of that name; the disk's where it was not kept."""
        fitting = self._called(name)
        if self.kept is not None:
            fitting = [file for file in fitting if file in self.kept]
        return fitting[0] if len(fitting) == 1 else Disk().shipped(name)

    def ships(self, file: str) -> bool:
        """Return whether a text is a shipped spec; texts that don't say so were all taken as
        such.
        """
        return self.kept is None or file in self.kept or Disk().ships(file)

    def _called(self, stem: str) -> list[str]:
        return [file for file in self.texts if PurePosixPath(file).stem == stem]

    def read(self, file: str) -> str:
        """Return the text of a file; of a shipped spec where it was not kept.

        Raises:
            UnreadableError: when it is neither.
        """
        return self.texts[file] if file in self.texts else Disk().read(file)


def decode(data: bytes, file: str) -> str:
    """Return bytes as text.

    Raises:
        UnreadableError: at the first byte that is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        raise UnreadableError(
            f"byte {data[error.start]:#04x} is not UTF-8",
            "save the file as UTF-8",
            Span(file=file, line=line, column=column),
        ) from None


def shown(path: Path) -> str:
    """Return a path as messages show it: relative where it lies below the current folder."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def _shortest(path: Path) -> str:
    """Return a path without the detours `a/..` that lead back to where they began."""
    straight = Path(os.path.normpath(path))
    same = ".." in path.parts and straight.exists() and straight.samefile(path)
    return (straight if same else path).as_posix()


def broken_link(path: Path) -> str:
    """Return what is wrong with a link that leads to nothing; empty for anything else."""
    if not path.is_symlink() or path.exists():
        return ""
    target = path.readlink().as_posix()
    try:
        path.resolve(strict=True)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return f"`{path}` is a link to `{target}`, which leads back to it"
    except RuntimeError:  # how Python before 3.13 says so
        return f"`{path}` is a link to `{target}`, which leads back to it"
    return f"`{path}` is a link to `{target}`, which isn't there"


def _unopened(name: str, error: Exception) -> UnreadableError:
    reason = getattr(error, "strerror", None) or str(error)
    long = getattr(error, "errno", None) == errno.ENAMETOOLONG
    cure = "name a spec; no file has so long a name" if long else "look at its path and rights"
    return UnreadableError(f"`{name}` can't be opened: {reason}", cure)
