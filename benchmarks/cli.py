"""The one command of the benchmarks. Bodies import their worker, so that `--help` costs nothing."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

SPEED = {
    "transformer": "the compiled transformer against the same network by hand",
    "gated-deltanet": "the compiled gated-deltanet mixer against attention",
    "self-modifying-titans": "five self-modifying memories against attention",
    "attention-spans": "windows and periods of attention against a mask over all pairs",
    "selective-scan": "a memory with a retention a cell against a token loop and attention",
    "token-clocks": "MLPs that learn while they read against the same ones standing still",
    "diagonal-delta": "RWKV-7, KDA and GLA memories against token loops and attention",
    "optimizers": "steps of AdamW, Muon and M3 against PyTorch's AdamW and Muon",
    "titans-lmm": "Titans' long-term memory against the package titans-pytorch",
}
ROUNDS = 20
THREADS = 2
RATE = 0.001
INTERRUPTED = 130

Plan = TypeVar("Plan")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one benchmark and end the process."""
    from benchmarks.failure import BenchmarkError
    from nestgraph.errors import SpecError

    wishes = parser().parse_args(arguments)
    try:
        sys.exit(run(wishes))
    except (SpecError, BenchmarkError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def run(wishes: argparse.Namespace) -> int:
    """Hand the wishes to the benchmark that they name; its exit status."""
    if wishes.benchmark in SPEED:
        from benchmarks.speed import measure_suite

        measure_suite(
            wishes.benchmark, rounds=wishes.rounds, threads=wishes.threads, file=wishes.json
        )
        return 0
    if wishes.benchmark == "yardstick":
        from benchmarks import yardstick

        return yardstick.hold_yardstick(filled(yardstick.Plan, wishes))
    if wishes.benchmark == "zoo":
        from benchmarks import zoo

        return zoo.fill_zoo(filled(zoo.Plan, wishes))
    if wishes.benchmark == "optimizers-on-text":
        from benchmarks import optimizer_plan
        from benchmarks.optimizers_on_text import compare

        rates = tuple(sorted(set(wishes.rates or optimizer_plan.RATES)))
        return compare(filled(optimizer_plan.Plan, wishes, rates=rates))
    if wishes.benchmark == "toy":
        from benchmarks.toy import walk

        return walk(wishes.plot, others=wishes.others)
    if wishes.benchmark == "capacity":
        from benchmarks import capacity

        return capacity.print_capacity(filled(capacity.Plan, wishes))
    if wishes.benchmark == "mixers":
        from benchmarks.mixer_table import fill_mixers

        return fill_mixers(
            tuple(wishes.only),
            rounds=wishes.rounds,
            threads=wishes.threads,
            out=wishes.out,
            table_only=wishes.table_only,
            length=wishes.length,
        )
    if wishes.benchmark == "memory":
        from benchmarks.long_context import measure_memory

        names = tuple(wishes.only)
        return measure_memory(
            names, tokens=wishes.tokens, width=wishes.width, threads=wishes.threads
        )
    if wishes.benchmark == "continual":
        from benchmarks import continual

        return continual.read_on(filled(continual.Plan, wishes))
    from benchmarks.long_stream import read_long

    return read_long(wishes.tokens)


def filled(plan: type[Plan], wishes: argparse.Namespace, **other: object) -> Plan:
    """Return a benchmark's plan: its fields are the options of the same names, unless given as
    `other`.
    """
    assert dataclasses.is_dataclass(plan)
    wished = {field.name: getattr(wishes, field.name) for field in dataclasses.fields(plan)}
    values = {key: tuple(x) if isinstance(x, list) else x for key, x in wished.items()}
    return plan(**{**values, **other})


def parser() -> argparse.ArgumentParser:
    """Return what the command understands."""
    root = argparse.ArgumentParser(prog="benchmarks", description="Measures nestgraph.")
    names = root.add_subparsers(dest="benchmark", metavar="NAME", required=True)
    for name, purpose in SPEED.items():
        speed = names.add_parser(name, help=purpose, description=purpose)
        speed.add_argument("--rounds", type=_positive, default=ROUNDS, help=f"default {ROUNDS}")
        speed.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
        _threads(speed)
    _yardstick(names.add_parser("yardstick", help="train specs in nanoGPT's Shakespeare setting"))
    _zoo(names.add_parser("zoo", help="train every system of the zoo, and make one table"))
    _optimizers(
        names.add_parser("optimizers-on-text", help="train two systems with six optimizers each")
    )
    toy = names.add_parser("toy", help="momentum and Delta Momentum in a winding valley")
    toy.add_argument("--others", action="store_true", help="other constants too, a minute")
    toy.add_argument("--plot", type=Path, metavar="FILE", help="draw it: FILE.svg or FILE.png")
    _capacity(names.add_parser("capacity", help="pairs that one pass of a write rule stores"))
    _mixers(names.add_parser("mixers", help="every recurrent mixer of the zoo, as one table"))
    _memory(names.add_parser("memory", help="peak memory of training mixers over a long sequence"))
    _continual(names.add_parser("continual", help="read a second author with levels on clocks"))
    stream = names.add_parser("long-stream", help="memory of a stream of a million tokens")
    stream.add_argument("--tokens", type=_positive, default=10**6, help="default a million")
    return root


def _yardstick(command: argparse.ArgumentParser) -> None:
    command.add_argument("specs", nargs="*", default=["transformer-tiny", "hope-tiny"], metavar="S")
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    command.add_argument("--steps", type=_positive, help="in place of the specs' own")
    command.add_argument("--out", type=Path, default=Path("runs/yardstick"), metavar="FOLDER")
    _threads(command)


def _zoo(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these systems")
    command.add_argument("--steps", type=_positive, help="in place of the specs' own")
    command.add_argument("--data", metavar="DATA", help="in place of the specs' own")
    command.add_argument("--jobs", type=_positive, default=1, help="at a time; default 1")
    instead = command.add_mutually_exclusive_group()
    _table(instead)
    instead.add_argument(
        "--speeds",
        action="store_true",
        dest="speeds_only",
        help="measure the speed of what is finished anew",
    )
    command.add_argument("--out", type=Path, default=Path("runs/zoo"), metavar="FOLDER")
    command.add_argument("--threads", type=_positive, default=1, help="in each; default 1")


def _optimizers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="these models, these optimizers"
    )
    command.add_argument(
        "--rates", nargs="+", type=_rate, metavar="LR", help="default 0.001 0.003 0.01 0.03 0.1"
    )
    command.add_argument("--steps", type=_positive, default=200, help="of each; default 200")
    command.add_argument("--data", metavar="DATA", help="in place of the specs' own")
    command.add_argument("--jobs", type=_positive, default=1, help="at a time; default 1")
    _table(command)
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw it: FILE.svg or FILE.png")
    command.add_argument("--out", type=Path, default=Path("runs/optimizers"), metavar="FOLDER")
    command.add_argument("--threads", type=_positive, default=1, help="in each; default 1")


def _capacity(command: argparse.ArgumentParser) -> None:
    command.add_argument("specs", nargs="*", default=[], metavar="S", help="default: the zoo's")
    command.add_argument("--set", nargs="+", default=[], metavar="PATH=VALUE", help="in each spec")
    command.add_argument(
        "--rates", nargs="+", type=_write_rate, default=[0.1, 0.5, 1.0], metavar="R"
    )
    command.add_argument(
        "--pairs", nargs="+", type=_positive, default=[1, 8, 16, 32, 64], metavar="N"
    )
    command.add_argument("--width", type=_positive, default=32, help="default 32")
    command.add_argument("--trials", type=_positive, default=32, help="default 32")
    command.add_argument("--seed", type=int, default=0)


def _mixers(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these mixers")
    command.add_argument("--rounds", type=_positive, default=5, help="default 5")
    command.add_argument(
        "--length", type=_positive, default=512, help="of a sequence; default 512, four of them"
    )
    _table(command)
    command.add_argument("--out", type=Path, default=Path("runs/mixers"), metavar="FOLDER")
    _threads(command)


def _memory(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these mixers")
    command.add_argument("--tokens", type=_positive, default=16384, help="default 16384")
    command.add_argument("--width", type=_positive, default=256, help="default 256")
    _threads(command)


def _continual(command: argparse.ArgumentParser) -> None:
    command.add_argument("--first", default="shakespeare", metavar="DATA", help="trained on")
    command.add_argument("--second", default="austen", metavar="DATA", help="read behind it")
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    command.add_argument("--steps", type=_positive, help="of training, in place of the spec's own")
    command.add_argument("--rate", type=float, default=RATE, help=f"of levels; default {RATE}")
    command.add_argument("--rows", type=_positive, default=2, help="read side by side; default 2")
    command.add_argument("--length", type=_positive, default=32768, help="of a row of the second")
    command.add_argument("--back", type=_positive, default=8192, help="of the first, behind it")
    _table(command)
    command.add_argument("--out", type=Path, default=Path("runs/continual"), metavar="FOLDER")
    command.add_argument("--threads", type=_positive, default=1, help="default 1")


def _threads(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=_positive, default=THREADS, help=f"default {THREADS}")


def _table(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--table",
        action="store_true",
        dest="table_only",
        help="print what is finished, no more",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _write_rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no rate of writes; expected 0 <= R <= 1e6")
    return rate


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no learning rate; expected 0 < LR <= 100")
    return rate
