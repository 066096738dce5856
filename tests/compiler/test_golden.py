"""IR, plan and emitted Python of the zoo, as text; `pytest --refresh-golden` renews it."""

from collections.abc import Callable

import pytest

from nestgraph.compiler import PASS_NAMES, build_program, emit_python, plan, print_ir
from nestgraph.compiler.ir import Program
from nestgraph.compiler.pipeline import Pass
from nestgraph.compiler.text import parse_program, print_program
from nestgraph.language.spec import load

COMPILED = ("hope", "transformer", "deltanet", "gated-deltanet", "titans-lmm")
Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", COMPILED)
def test_the_scheduled_ir_is_as_recorded(name: str, golden: Golden) -> None:
    golden(f"ir/{name}.txt", print_ir(load(name).system))


@pytest.mark.parametrize("name", COMPILED)
def test_the_plan_is_as_recorded(name: str, golden: Golden) -> None:
    golden(f"plan/{name}.txt", f"{plan(load(name).system)}\n")


def test_the_emitted_python_is_as_recorded(golden: Golden) -> None:
    golden("python/hope-tiny.py.txt", emit_python(load("hope-tiny").system))


@pytest.mark.parametrize("name", COMPILED)
def test_the_ir_parses_back_behind_every_pass(name: str) -> None:
    seen: list[str] = []

    def look(step: Pass, program: Program) -> None:
        assert parse_program(print_program(program)) == program
        seen.append(step.name)

    build_program(load(name).system, after=look)

    assert tuple(seen) == PASS_NAMES


def test_the_ir_can_be_printed_behind_one_pass_or_all() -> None:
    system = load("hope-tiny").system

    assert "# after stack\n" in print_ir(system, after="stack")
    assert all(f"# after {name}\n" in print_ir(system, after="all") for name in PASS_NAMES)


def test_an_unknown_pass_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="no pass is called `stak`; there are clocks, select, fold-decay, stack"
    ):
        print_ir(load("hope-tiny").system, after="stak")


def test_four_alike_memories_of_hope_become_one_state() -> None:
    (function,) = plan(load("hope").system).functions
    stacked = [m.members for m in function.memories if len(m.members) > 1]

    assert stacked == [("a.M_k", "a.M_v", "a.M_eta", "a.M_alpha")]
