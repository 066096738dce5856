"""No command takes long over a spec that means much: it ends, or says why it does not do it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from fuzz.large_specs import LARGE

MOST = 10.0  # seconds of CPU beyond the import of torch
COMMANDS = (
    "check SPEC",
    "show SPEC",
    "show SPEC --costs",
    "diff SPEC OTHER",
    "export SPEC -o spec.json",
    *(
        f"draw SPEC --view {view} -o picture.{form}"
        for view in ("levels", "nested", "block", "clock", "optimizer", "system")
        for form in ("svg", "txt", "mmd")
    ),
    "draw SPEC -o picture.html",
    "compile SPEC",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A process: its exit status, its seconds of CPU with those it started, and what it said."""

    status: int
    seconds: float
    said: str


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))


def run(arguments: list[str], folder: Path) -> Ended:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        arguments,
        cwd=folder,
        capture_output=True,
        text=True,
        preexec_fn=_limited,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(status=done.returncode, seconds=seconds, said=done.stderr)


@pytest.fixture(scope="module")
def torch_seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    return run([sys.executable, "-c", "import torch"], tmp_path_factory.mktemp("torch")).seconds


@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGE)
def test_no_command_takes_long_over_a_large_spec(
    kind: str, fuzz, tmp_path: Path, torch_seconds: float
) -> None:
    (tmp_path / "large.yaml").write_text(LARGE[kind])
    (tmp_path / "other.yaml").write_text(LARGE["equal layers"])
    failed, longest, refused = [], (0.0, ""), 0
    for command in COMMANDS:
        words = command.replace("SPEC", "large.yaml").replace("OTHER", "other.yaml").split()
        ended = run([sys.executable, "-m", "nestgraph", *words], tmp_path)
        allowed = (0, 1, 2) if words[0] == "diff" else (0, 2)  # 1: they differ
        loads = words[0] in ("compile", "export") or "--costs" in words
        spare = torch_seconds if loads else 0.0
        longest = max(longest, (ended.seconds - spare, command))
        refused += ended.status == 2
        if ended.status not in allowed or "Traceback" in ended.said:
            failed.append(f"{command}: status {ended.status}: {ended.said[-300:]}")
        elif ended.status == 2 and "NG" not in ended.said:
            failed.append(f"{command}: refused without a code: {ended.said[-300:]}")
        elif ended.seconds - spare > MOST:
            failed.append(f"{command}: {ended.seconds - spare:.1f} s of CPU")
    fuzz.tell(f"{kind}: {len(COMMANDS)} commands, {refused} refused, at most {longest[0]:.1f} s")
    assert not failed, "\n".join(failed)
