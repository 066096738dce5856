"""What a run left in its folder, read back without PyTorch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestgraph.errors import InputError, SpecError
from nestgraph.language.kept_texts import OVERRIDES, RESOLVED, SPEC
from nestgraph.language.spec import Spec, load
from nestgraph.text.files import Disk
from nestgraph.training.folder import ENVIRONMENT, METRICS, TIMES, TOLD, is_run
from nestgraph.training.folder_sums import require_intact
from nestgraph.training.metrics_file import whole_rows

STEP = "step"
Column = Sequence[tuple[float, float]]  # steps and values, where there is one


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run.

    Attributes:
        folder: where it lies.
        spec: what was trained, with the author's names where its files still say the same.
        written: the spec as its author wrote it.
        table: every column of metrics.csv, and `seconds` of times.csv.
        environment: what each start of the run took place on.
    """

    folder: Path
    spec: Spec
    written: str
    table: Mapping[str, Column]
    environment: Sequence[Mapping[str, Any]]

    @property
    def label(self) -> str:
        """Return what plots call it."""
        return f"{self.folder.name}, seed {self.spec.system.training.seed}"

    @property
    def steps(self) -> int:
        """Steps that were taken."""
        losses = self.table.get("train_loss", ())
        return int(losses[-1][0]) if losses else 0

    def column(self, name: str) -> Column:
        """Return steps and values of a column; empty where it has none."""
        return self.table.get(name, ())

    def columns(self, prefix: str) -> dict[str, Column]:
        """Return the columns `prefix/LEVEL` by level."""
        start = f"{prefix}/"
        found = {name: column for name, column in self.table.items() if name.startswith(start)}
        return {name.removeprefix(start): column for name, column in found.items()}

    def tokens_per_second(self) -> Column:
        """Return how fast each step was."""
        training = self.spec.system.training
        tokens = training.batch * training.context
        return [(step, tokens / seconds) for step, seconds in self.column("seconds") if seconds > 0]


def read_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        InputError: when the folder holds none, or what it holds can't be read or isn't as the run
            wrote it.
        SpecError: when its spec is no longer right.
    """
    if not is_run(folder):
        hint = "name a folder that `nestgraph train` has made"
        raise InputError("NG711", f"`{folder}` is no run", hint)
    require_intact(folder, *TOLD)
    table = {**_read_table(folder / METRICS), **_read_table(folder / TIMES)}
    return Run(
        folder=folder,
        spec=_spec(folder),
        written=_text(folder / SPEC),
        table=table,
        environment=_environment(folder / ENVIRONMENT),
    )


def _spec(folder: Path) -> Spec:
    """Return the spec as its author wrote it, if that is what was trained; else resolved.

    Resolving splits blocks that are used with different vars, under names of its own.
    """
    try:
        overrides = json.loads(_text(folder / OVERRIDES) or "{}")
        written = load(SPEC, overrides, Disk(folder))
        if written.resolved_yaml() == _text(folder / RESOLVED):
            return written
    except (SpecError, ValueError):
        pass  # a run of old, or of files that were edited since
    return load(folder / RESOLVED)


def _read_table(path: Path) -> dict[str, Column]:
    """Return the columns of a table."""
    columns: dict[str, list[tuple[float, float]]] = {}
    for row in whole_rows(_text(path)):
        step = _number(row.get(STEP))
        if step is None:
            continue
        for name, text in row.items():
            value = _number(text)
            if name != STEP:
                columns.setdefault(name, [])
                if value is not None:
                    columns[name].append((step, value))
    return dict(columns)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _environment(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        told = json.loads(_text(path) or "[]")
    except ValueError:
        return ()
    return [start for start in told if isinstance(start, dict)] if isinstance(told, list) else ()


def _text(path: Path) -> str:
    """Return the text of a file; empty where there is none, since a run may have been stopped
    early.
    """
    try:
        return path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else ""
    except OSError as error:
        message = f"`{path}` can't be read: {error.strerror or error}"
        raise InputError("NG711", message, "look at its rights") from error
