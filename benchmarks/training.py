"""One training by `nestgraph train` in a process of its own, and what came of it.

A finished run is known by its result file and never trained again; an interrupted one goes on
from its last checkpoint.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import environment
from benchmarks.failure import BenchmarkError, Diverged
from nestgraph.analysis.parameters import parameter_table
from nestgraph.language.spec import Spec, load

INTERRUPTED = (130, -signal.SIGINT)
NO_NUMBERS = ("NG731 ", "NG732 ", "NG742 ")  # what a training that diverged says first


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What to train.

    Attributes:
        spec: a name or a path.
        seed: of first weights and batches.
        threads: that PyTorch may use.
        settings: overrides by path.
        steps: in place of the spec's own.
    """

    spec: str
    seed: int
    threads: int
    settings: Mapping[str, str] = field(default_factory=dict)
    steps: int | None = None

    def load(self) -> Spec:
        """Return the spec as it will be trained."""
        more = {} if self.steps is None else {"training.steps": self.steps}
        return load(self.spec, {**self.settings, **more})

    def folder(self) -> str:
        """Return a name that another spec, other settings or an edited file don't share."""
        spec = self.load()
        digest = hashlib.sha256(spec.resolved_yaml().encode()).hexdigest()[:8]
        return f"{spec.system.name}-{spec.system.training.steps}-steps-{digest}/seed-{self.seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a finished training reached.

    Attributes:
        spec: its name.
        seed: of it.
        steps: that it took.
        nats: loss a byte over the whole validation text after the last step.
        best: the lowest loss of all validations.
        parameters: trained numbers.
        seconds: on the wall, with start, validations and sample; of its last part if resumed.
        resumed: whether it was interrupted once.
        load: of the machine at the end.
        run: its folder.
    """

    spec: str
    seed: int
    steps: int
    nats: float
    best: float
    parameters: int
    seconds: float
    resumed: bool
    load: float
    run: str

    @property
    def bits(self) -> float:
        """Bits a byte."""
        return self.nats / math.log(2)


def train(task: Task, out: Path, *, tell: bool = True) -> Result:
    """Return the result of a task below `out`, trained now unless it was before.

    Args:
        task: what to train.
        out: the folder of all runs.
        tell: whether to pass on what the training says; its log has it all.

    Raises:
        Diverged: when its loss or its gradients were no numbers.
        BenchmarkError: when the training failed otherwise.
        SpecError: when the spec has errors.
    """
    run = out / task.folder()
    kept = run.with_suffix(".json")
    if kept.is_file():
        return Result(**json.loads(kept.read_text()))
    resumes = (run / "last.ckpt").is_file()
    if not resumes and run.is_dir():
        shutil.rmtree(run)  # begun, but stopped before there was anything to go on from
    run.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    _follow(_command(task, run, resumes=resumes), task, run.with_suffix(".log"), tell=tell)
    result = _result(task.load(), task.seed, run, time.monotonic() - began, resumed=resumes)
    kept.write_text(json.dumps(asdict(result), indent=2) + "\n")
    return result


def _command(task: Task, run: Path, *, resumes: bool) -> list[str]:
    # -P: the working folder must not hide the package that this process found.
    command = [sys.executable, "-P", "-m", "nestgraph", "train"]
    if resumes:
        return [*command, "--resume", str(run)]
    settings = [f"--set={path}={value}" for path, value in task.settings.items()]
    steps = [] if task.steps is None else ["--max-steps", str(task.steps)]
    place = ["--seed", str(task.seed), "--out", str(run)]
    return [*command, task.spec, *settings, *steps, *place]


def _follow(command: list[str], task: Task, log: Path, *, tell: bool) -> None:
    """Run the command, and pass on what it says up to the sample of its writing."""
    found = [str(Path(entry).resolve()) for entry in sys.path if Path(entry).exists()]
    settings = {"PYTHONPATH": os.pathsep.join(found), "OMP_NUM_THREADS": str(task.threads)}
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | settings,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        assert process.stdout is not None
        telling = tell
        for line in _until_the_end(process.stdout):
            file.write(line)
            telling = telling and bool(line.strip())
            if telling:
                print(f"    {line}", end="", flush=True)
    if process.returncode in INTERRUPTED:
        raise KeyboardInterrupt
    if process.returncode:
        _require_numbers(log)
        raise BenchmarkError(
            f"training `{task.spec}` with seed {task.seed} ended with {process.returncode};"
            f" `{log}` holds what it said"
        )


def _require_numbers(log: Path) -> None:
    last = log.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
    if last.startswith(NO_NUMBERS):
        raise Diverged(last.partition(" ")[2].partition(";")[0])


def _until_the_end(lines: Iterator[str]) -> Iterator[str]:
    """Yield all lines; Ctrl-C reaches the training as well, which then has a state to save."""
    while True:
        try:
            yield from lines
            return
        except KeyboardInterrupt:
            continue


def _result(spec: Spec, seed: int, run: Path, seconds: float, *, resumed: bool) -> Result:
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    losses = [float(row["val_loss"]) for row in rows]
    return Result(
        spec=spec.system.name,
        seed=seed,
        steps=int(rows[-1]["step"]),
        nats=losses[-1],
        best=min(losses),
        parameters=sum(math.prod(p.shape) for p in parameter_table(spec.system) if p.trained),
        seconds=seconds,
        resumed=resumed,
        load=environment.load(),
        run=str(run),
    )
