"""Specs that are read anew whenever one of their files changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nestgraph.errors import SpecError, render
from nestgraph.language.spec import load
from nestgraph.viz.page.data import broken_data, spec_data

Stamp = tuple[tuple[str, int, int], ...]

_PATIENCE = 3  # looks that an emptied file is given: many editors empty a file, then write it


@dataclass(slots=True)
class Watched:
    """One spec, and what a page shows of it.

    Attributes:
        name: as it was asked for.
        changes: what `--set` replaces.
        data: for a page; without pictures while the spec is broken.
        version: grows with each change.
    """

    name: str
    changes: Mapping[str, object]
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    _files: tuple[str, ...] = ()
    _stamp: Stamp = ()
    _waited: int = 0

    def __post_init__(self) -> None:
        self._files = (self.name,)
        self.look()

    def look(self) -> bool:
        """Read the spec if a file of it is not what it was; return whether it did."""
        stamp = self._now()
        if self.version and (stamp == self._stamp or self._is_being_saved(stamp)):
            return False
        self._waited = 0
        self.data = self._read()
        # As the files were before they were read: a change meanwhile is seen the next time.
        known = self._now()
        self._stamp = stamp if len(stamp) == len(known) else known
        self.version += 1
        return True

    def _is_being_saved(self, stamp: Stamp) -> bool:
        """Return whether a file has just become empty, or is gone: most likely for a moment
        only.
        """
        sizes = {file: size for file, _, size in self._stamp}
        if self._waited == _PATIENCE or all(size or not sizes.get(file) for file, _, size in stamp):
            return False
        self._waited += 1
        return True

    def _read(self) -> dict[str, Any]:
        try:
            spec = load(self.name, set=self.changes)
        except SpecError as error:
            self._remember(tuple(error.sources))
            return broken_data(self.name, [render(one, error.sources) for one in error.diagnostics])
        self._remember(tuple(spec.sources))
        return spec_data(spec.system, spec.sources, spec.path, spec.warnings)

    def _remember(self, files: tuple[str, ...]) -> None:
        """Remember all files that were ever part of it: a broken spec may not name them all."""
        self._files = tuple(dict.fromkeys((*self._files, *files)))

    def _now(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: str) -> tuple[str, int, int]:
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return file, 0, 0
    return file, found.st_mtime_ns, found.st_size
