"""metrics.csv: exact numbers, and rows of lost work go when a run is resumed."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from nestgraph.errors import InputError
from nestgraph.training.metrics_file import MetricsFile, whole_rows

COLUMNS = ("step", "loss", "val_loss")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_numbers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    losses = [random.random() * 10 ** random.randint(-9, 9) for _ in range(20)]
    table = MetricsFile(tmp_path / "m.csv", COLUMNS, after=0)
    for step, loss in enumerate(losses, start=1):
        table.write({"step": step, "loss": loss})
    table.close()

    rows = read(tmp_path / "m.csv")

    assert [float(row["loss"]) for row in rows] == losses
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 21)]
    assert {row["val_loss"] for row in rows} == {""}


def test_a_row_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    table = MetricsFile(tmp_path / "m.csv", COLUMNS, after=0)
    table.write({"step": 1, "loss": 0.5})

    assert (tmp_path / "m.csv").read_text() == "step,loss,val_loss\n1,0.5,\n"
    table.close()


def test_rows_after_the_resumed_step_go_and_new_columns_come(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("step,loss\n1,0.5\n2,0.25\n3,0.125\nnonsense\n")

    MetricsFile(tmp_path / "m.csv", COLUMNS, after=2).close()

    assert (tmp_path / "m.csv").read_text() == "step,loss,val_loss\n1,0.5,\n2,0.25,\n"


def test_a_disk_that_fills_is_a_sentence_and_closing_is_quiet(tmp_path: Path) -> None:
    table = MetricsFile(tmp_path / "m.csv", COLUMNS, after=0)
    table.close()
    with Path("/dev/full").open("ab", buffering=0) as table._file:
        with pytest.raises(InputError, match=r"m\.csv` can't be written: No space left"):
            table.write({"step": 1})
        table.close()


class Filling(io.FileIO):
    """A file on a disk that fills within a row."""

    def write(self, line: bytes) -> int:
        if self.tell() > 25:
            raise OSError(28, "No space left on device")
        return super().write(line[:4])


def test_half_a_row_goes_when_the_disk_fills(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    table = MetricsFile(path, COLUMNS, after=0)
    table.write({"step": 1})
    table.close()
    with Filling(path, "ab") as table._file:
        with pytest.raises(InputError, match="No space left"):
            table.write({"step": 2, "loss": 0.125})
        table.close()

    assert path.read_text() == "step,loss,val_loss\n1,,\n"


def test_half_a_row_is_no_row() -> None:
    assert list(whole_rows("step,loss\n1,0.5\n2,0.2")) == [{"step": "1", "loss": "0.5"}]
    assert list(whole_rows("step,lo")) == list(whole_rows("")) == []


def test_a_damaged_row_harms_no_other(tmp_path: Path) -> None:
    damaged = [
        '"2,0.5',
        "\N{SUPERSCRIPT TWO},1",
        "2,0.5,7,8",
        "\x00",
        "9" * 5000,
        "2," + "1" * 200_000,
    ]
    rows = "".join(f"{n},0.5\n{row}\n" for n, row in zip(range(3, 10), damaged, strict=False))
    (tmp_path / "m.csv").write_text(f"step,loss\n{rows}")

    MetricsFile(tmp_path / "m.csv", ("step", "loss"), after=9).close()

    kept = [row["step"] for row in read(tmp_path / "m.csv")]
    assert [step for step in kept if step != "2"] == [str(n) for n in range(3, 9)]
