"""metrics.csv of a run: one row a step, exact numbers, continued where a run is resumed."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from nestgraph.training.files import replace_file, unwritable

STEP = "step"
Row = dict[str, float | None]


class MetricsFile:
    """A growing table with the columns of its first row and those of validation.

    Args:
        path: the file; what it holds from before stays.
        columns: all columns, `step` first.
        after: rows of later steps belong to work that was lost, and go.
    """

    def __init__(self, path: Path, columns: Iterable[str], *, after: int) -> None:
        self._path = path
        self._columns = list(columns)
        replace_file(path, self._text([self._columns, *self._kept(after)]).encode())
        self._file: TextIO = path.open("a", newline="", encoding="utf-8")

    def write(self, row: Row) -> None:
        """Adds a row; columns without a number stay empty.

        Raises:
            InputError: when the disk is full.
        """
        line = self._text([[_number(row.get(column)) for column in self._columns]])
        try:
            self._file.write(line)
            self._file.flush()  # so that `tail -f` shows it
        except OSError as error:
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        """Ends the table."""
        with contextlib.suppress(OSError):  # every row was flushed, or failed to be
            self._file.close()

    def _kept(self, after: int) -> list[list[str]]:
        if not self._path.is_file():
            return []
        with self._path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [row for row in csv.DictReader(file) if (row.get(STEP) or "").isdigit()]
        return [
            [row.get(column) or "" for column in self._columns]
            for row in rows
            if int(row[STEP]) <= after
        ]

    def _text(self, rows: list[list[str]]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _number(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
