"""Judge mutated specs one after another, in a process that a hang or a crash may end.

    python judge.py SEED STEP OUT START STOP

Writes a JSON line for each spec of START, START + STEP, … below STOP: `what` is `refused`, `not
yet`, `planned`, `ran` or `stopped`, or `fault` with the reason. The line `{"at": N}` comes before
it, so that whoever waits knows what a dead process was about.
"""

from __future__ import annotations

import faulthandler
import json
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mutations import mutate, the_zoo

import nestgraph as ng
from nestgraph import compiler
from nestgraph.analysis.costs import total
from nestgraph.analysis.parameters import parameter_table
from nestgraph.analysis.support import unsupported
from nestgraph.cli.check import findings_of
from nestgraph.cli.reports import as_text
from nestgraph.cli.show import overview
from nestgraph.compiler.equivalence import verify
from nestgraph.errors import SpecError
from nestgraph.export import exported
from nestgraph.graph.build import build_graph
from nestgraph.language.spec import Spec

LOOKING = 10  # seconds of processor time for `check`, `show`, `draw`, `compile`
RUNNING = 60  # for a forward and a backward pass, or a comparison with the interpreter
WATCHDOG = 300  # seconds of any time until the process ends itself
TOKENS, ROWS = 10, 2
LARGEST, WORK = 2_000_000, 4e7  # numbers of a model, FLOPs a token, of what is run
COMPARED, WORTH = 120_000, 3e6  # of what is held against the interpreter


class HangError(BaseException):
    """Raised where a stage takes more processor time than it may."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `HangError` once that much processor time has gone."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(*_: object) -> None:
    raise HangError


def judged(file: Path, chance: random.Random) -> str:
    """Return what becomes of a spec.

    Raises:
        AssertionError: a finding lacks a place, or something else that users were promised.
        HangError: a stage took too long.
        Exception: any other; each is a fault of nestgraph.
    """
    with within(LOOKING):
        findings, sources = findings_of(str(file), {})
        as_text(findings, sources)
        assert all(finding.span is not None for finding in findings), "a finding has no place"
    with within(LOOKING):
        spec = _loaded(file)
    if spec is None:
        return "refused"
    assert not any(finding.severity == "error" for finding in findings), "an error, but it loads"
    if chance.random() < 0.1:
        _looked_at(spec)
    if unsupported(spec.system):
        return "not yet"
    return _optimizer(spec) if spec.system.optimizer is not None else _model(spec, chance)


def _loaded(file: Path) -> Spec | None:
    try:
        return ng.load(file)
    except SpecError as refusal:
        found = refusal.diagnostics
    assert any(finding.severity == "error" for finding in found), "refused without an error"
    return None


def _looked_at(spec: Spec) -> None:
    with within(LOOKING):
        overview(spec)
    with within(LOOKING):
        exported(build_graph(spec.system), "node-link")
    with within(LOOKING):
        ng.draw(spec, format="dot")
    with within(LOOKING):
        again = Spec.from_sources({"resolved.yaml": spec.resolved_yaml()}, "resolved.yaml")
        assert not ng.diff(spec, again), "the resolved spec is another one"


def _model(spec: Spec, chance: random.Random) -> str:
    with within(LOOKING):
        try:
            compiler.plan(spec.system)
        except SpecError:
            return "stopped"
    numbers = sum(one.size for one in parameter_table(spec.system))
    cost = total(spec.system)
    if max(numbers, cost.state) > LARGEST or cost.flops > WORK:
        return "planned"
    with within(RUNNING):
        try:
            module = ng.compile(spec)
            assert spec.system.model is not None
            tokens = torch.randint(spec.system.model.vocab, (ROWS, TOKENS))
            loss = module.model.loss(tokens[:, :-1], tokens[:, 1:])[0]  # type: ignore[operator]
            loss.backward()
        except SpecError:
            return "stopped"
    if chance.random() < 0.25 and max(numbers, cost.state) < COMPARED and cost.flops < WORTH:
        with within(RUNNING):
            found = verify(spec.system, tokens=TOKENS, batch=1)
        # Numbers that grow beyond all bounds differ by rounding alone, and in which one overflows.
        sizes = [one.error for one in found.comparisons]
        assert found.agrees or not all(map(_sane, sizes)), str(found)
    return "ran"


def _sane(error: float) -> bool:
    return error == error and error < 1e300  # no NaN


def _optimizer(spec: Spec) -> str:
    with within(RUNNING):
        net = torch.nn.Sequential(
            torch.nn.Linear(4, 6), torch.nn.LayerNorm(6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
        )
        try:
            optimizer = ng.compile_optimizer(spec).for_module(net, lr=1e-3)
            if optimizer.needs_inputs:
                optimizer.watch(net)
            for _ in range(3):
                optimizer.zero_grad()
                net(torch.randn(5, 4)).square().mean().backward()
                optimizer.step()
        except SpecError:
            return "stopped"
    return "ran"


def _record(number: int, seed: int, folder: Path) -> dict[str, Any]:
    chance = random.Random(f"{seed}-{number}")
    name, text = mutate(chance)
    file = folder / "mutant.yaml"
    file.write_text(text, encoding="utf-8")
    torch.manual_seed(number)
    try:
        return {"number": number, "from": name, "what": judged(file, chance)}
    except HangError:
        reason = f"HANG {traceback.format_exc()}"
    except Exception:
        reason = traceback.format_exc()
    return {"number": number, "from": name, "what": "fault", "why": reason, "text": text}


def main(seed: int, step: int, out: Path, start: int, stop: int) -> None:
    """Judge every `step`-th spec of a range."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    signal.signal(signal.SIGPROF, _too_long)
    the_zoo()
    with tempfile.TemporaryDirectory() as folder, out.open("a", encoding="utf-8") as lines:
        for number in range(start, stop, step):
            print(json.dumps({"at": number}), file=lines, flush=True)
            faulthandler.dump_traceback_later(WATCHDOG, exit=True)
            began = time.process_time()
            record = _record(number, seed, Path(folder))
            record["seconds"] = round(time.process_time() - began, 2)
            print(json.dumps(record), file=lines, flush=True)
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
