"""Peak memory over long sequences, counted by the system."""

from __future__ import annotations

import pytest

from benchmarks.long_context import measure_memory


def test_a_longer_sequence_takes_more_and_each_mixer_gets_a_row(
    capsys: pytest.CaptureFixture[str],
) -> None:
    peaks = []
    for tokens in (512, 4096):
        assert measure_memory(("deltanet",), tokens=tokens, width=64, threads=1) == 0
        row = capsys.readouterr().out.splitlines()[-1]
        assert row.startswith("| `deltanet` |")
        peaks.append(float(row.split("|")[2]))
    assert peaks[0] < peaks[1] < 1
