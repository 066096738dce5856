"""Cells of a table of results: one training each, one line each of a file that can be gone on with.

A line is appended by a single write, so that whoever is interrupted loses the cell that was under
way and nothing else. A line that was torn all the same, the last one, is told and written anew.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from nestgraph.errors import InputError, InputWarning
from nestgraph.evaluation.procedures import SCORE
from nestgraph.evaluation.task import Split
from nestgraph.runtime.appended import append_line, open_to_append
from nestgraph.system_errors import cause_of, cure_of
from nestgraph.training.files import unwritable

Pair: TypeAlias = Annotated[Sequence[float], Field(min_length=2, max_length=2)]
CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False)  # of a line that is read


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How a side is trained: what all of its cells in a file have in common.

    Attributes:
        spec: a digest of it, rate and seed left out.
        steps: of a training; None where a budget ends it.
        budget: seconds of processor time; None for no limit.
        rates: to choose from.
        smoke: whether it is a smoke test, whose numbers are none to compare by.
    """

    __pydantic_config__ = CLOSED

    spec: str
    steps: int | None
    budget: float | None
    rates: Sequence[float]
    smoke: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One side of a task, trained once.

    Attributes:
        task: its label, with all settings.
        side: what was trained, in words; one of each name in a table.
        of: the side that it is a control or an ablation of; empty if it is none.
        setting: what all cells of this side have in common.
        split: `tune` where the cell chose a rate, `test` where it is a result.
        seed: of weights and rows.
        rate: the learning rate.
        scores: by name; None where there is no number.
        taken: steps that were taken.
        seconds: of processor time in training.
        skipped: steps whose gradient was no number.
        ended: why training ended.
        parameters: that are learned.
        flops: of a token, forward.
        series: points for plots, by what lies across.
    """

    __pydantic_config__ = CLOSED

    task: str
    side: str
    of: str
    setting: Setting
    split: str
    seed: int
    rate: float
    scores: Mapping[str, float | None]
    taken: int
    seconds: float
    skipped: int
    ended: str
    parameters: int
    flops: float
    series: Mapping[str, Sequence[Pair]]

    @property
    def score(self) -> float | None:
        """The score by which sides are compared."""
        return self.scores[SCORE]

    @property
    def key(self) -> tuple[str, str, str, int, float]:
        """Return what no two cells of a file share."""
        return (self.task, self.side, self.split, self.seed, self.rate)

    @property
    def is_result(self) -> bool:
        """Return whether it is more than the choice of a rate."""
        return self.split == Split.TEST


_LINES = TypeAdapter(Cell)
WORDS = {
    "smoke": "--smoke",
    "spec": "spec",
    "steps": "--steps",
    "budget": "--budget",
    "rates": "--lr",
}
CURE = "name another FILE, or give what its lines were run with"


def read_cells(file: Path) -> list[Cell]:
    """Return the cells of a file, in the order in which they were finished; none if there is no
    file.

    A last line that was torn is left out, with a warning.

    Raises:
        InputError: it can't be read, or a line is no cell (NG936).
    """
    try:
        text = file.read_bytes().decode("utf-8", errors="replace") if file.exists() else ""
    except OSError as error:
        said = f"`{file}` can't be read: {cause_of(error)}"
        raise InputError("NG936", said, cure_of(error)) from error
    lines = text.split("\n")
    found: dict[tuple[str, str, str, int, float], Cell] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cell = _cell(line)
        if cell is not None:
            found.setdefault(cell.key, cell)
        elif number == len(lines):  # no newline behind it
            said = f"the last line of `{file}` was cut short"
            warnings.warn(
                InputWarning(
                    "NG936", said, "a run that goes on with the file trains its cell again"
                ),
                stacklevel=2,
            )
        else:
            said = f"line {number} of `{file}` is no result of `nestgraph eval`"
            raise InputError("NG936", said, "name another file, or take the line away")
    return list(found.values())


def require_writable(file: Path) -> None:
    """Make sure that cells can be added before any is trained; makes the file.

    Raises:
        InputError: they can't (NG721).
    """
    try:
        os.close(open_to_append(file))
    except OSError as error:
        raise unwritable(file, error) from error


def add_cell(file: Path, cell: Cell) -> None:
    """Append a cell, whole or not at all; take away a last line that was torn.

    Raises:
        InputError: the file can't be written (NG721).
    """
    line = json.dumps(asdict(cell), ensure_ascii=False, allow_nan=False)
    try:
        append_line(file, line, lambda last: _cell(last) is not None)
    except OSError as error:
        raise unwritable(file, error) from error


def require_same(file: Path, kept: Sequence[Cell], task: str, side: str, setting: Setting) -> None:
    """Make sure that the cells of a side in a file are of the settings that are asked for now.

    Args:
        file: that holds them.
        kept: all of its cells.
        task: label of the task.
        side: name of the side.
        setting: that is asked for.

    Raises:
        InputError: naming what differs (NG935).
    """
    for cell in kept:
        if (cell.task, cell.side) != (task, side):
            continue
        for name, word in WORDS.items():
            before, now = getattr(cell.setting, name), getattr(setting, name)
            if before != now:
                said = f"`{file}` holds `{side}` on `{task}`"
                raise InputError("NG935", f"{said} {_differs(word, before, now)}", CURE)


def _differs(word: str, before: object, now: object) -> str:
    if word == "spec":
        return "as another spec than it is now"
    return f"with {word} {_told(before)}, and {_told(now)} is asked for"


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "given" if value else "left away"
    if isinstance(value, list):
        return " ".join(f"{one:g}" for one in value)
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _cell(line: str) -> Cell | None:
    try:
        cell = _LINES.validate_json(line, strict=True)
    except ValidationError:
        return None
    return cell if SCORE in cell.scores else None
