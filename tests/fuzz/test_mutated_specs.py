"""Every shipped spec with random edits: refused with a place, or it runs; no hang, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

JUDGE = Path(__file__).with_name("judge.py")
COUNT = 20_000
SOUND = 0.3  # of all mutants at least so many pass `check`
PASSED = ("not yet", "planned", "ran", "stopped")
SHOWN = 20  # faults that a failure prints


@dataclass
class Worker:
    """One process that judges its share, begun anew behind a mutant that ended it."""

    seed: int
    share: int
    of: int
    count: int
    out: Path
    deaths: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def begin(self, start: int) -> None:
        """Start at a number of this share."""
        words = [self.seed, self.of, self.out, start, self.count]
        command = [sys.executable, str(JUDGE), *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = self.out.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        log.close()

    def goes_on(self) -> bool:
        """Return whether it still works; one that has died goes on behind what it died of."""
        assert self.process is not None
        status = self.process.poll()
        if status is None:
            return True
        if status == 0:
            return False
        lines = self.lines()
        assert lines, self.out.with_suffix(".log").read_text()
        last = lines[-1]
        if "at" not in last:  # between two mutants: nothing to blame
            pytest.fail(self.out.with_suffix(".log").read_text())
        why = f"ended with {status}: {self.out.with_suffix('.log').read_text()[-3000:]}"
        self.deaths.append({"number": last["at"], "from": "", "what": "fault", "why": why})
        if last["at"] + self.of >= self.count:
            return False
        self.begin(last["at"] + self.of)
        return True

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has written."""
        return [json.loads(line) for line in self.out.read_text(encoding="utf-8").splitlines()]


def judged(count: int, seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what became of each mutant."""
    of = os.cpu_count() or 1
    workers = [
        Worker(seed, share, of, count, folder / f"{share}.jsonl") for share in range(min(of, count))
    ]
    for worker in workers:
        worker.begin(worker.share)
    try:
        while any([worker.goes_on() for worker in workers]):
            time.sleep(0.5)
    finally:
        for worker in workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.wait()
    for worker in workers:
        yield from (line for line in worker.lines() if "what" in line)
        yield from worker.deaths


@pytest.mark.slow
def test_mutated_specs_are_refused_with_a_place_or_run(tmp_path: Path, fuzz: Any) -> None:
    count = fuzz.amount(COUNT)
    records = list(judged(count, fuzz.seed, tmp_path))
    kinds = Counter(record["what"] for record in records)
    slowest = max(record.get("seconds", 0) for record in records)
    fuzz.tell(
        f"{len(records):,} mutated specs: "
        + ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
        + f"; the slowest took {slowest:.1f} s of processor time"
    )
    faults = [record for record in records if record["what"] == "fault"]
    if faults:
        pytest.fail("\n\n".join(map(_told, faults[:SHOWN])), pytrace=False)
    assert len(records) == count
    assert sum(kinds[kind] for kind in PASSED) >= SOUND * count


def _told(fault: dict[str, Any]) -> str:
    why = textwrap.indent(fault["why"][-1500:], "  ")
    return f"{fault['number']} ({fault['from']})\n{why}\n{fault.get('text', '')[:1500]}"
