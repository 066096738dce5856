"""What the compiler decided: which kernel each memory got and why, what was fused, which loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nestgraph.compiler import online_memories
from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.passes.select import SCANS
from nestgraph.display.html_text import boxed, bundle, escaped, table


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """One memory, or several stacked into one state."""

    members: tuple[str, ...]
    kernel: str
    why: str
    level: str

    @property
    def slow(self) -> bool:
        """Return whether it runs token by token."""
        return self.kernel in SCANS


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopPlan:
    """Ops that run segment by segment."""

    periods: tuple[int, ...]  # ticks in tokens; empty when nothing inside commits
    longest: int  # tokens at once
    whole: bool  # these may be several periods
    memories: tuple[str, ...]
    ops: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionPlan:
    """The decisions on one item of the stack."""

    name: str
    layers: tuple[str, ...]
    memories: tuple[MemoryPlan, ...]
    loops: tuple[LoopPlan, ...]
    fused: tuple[str, ...]  # one sentence a fusion, with what it saved
    straight: int  # ops that run once over the whole sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentPlan:
    """How far the gradients of a level look back, whose memories the task moves."""

    level: str
    period: int  # tokens
    graph: int  # tokens that a gradient is taken through at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The decisions on a whole model; `str()` is what the command line prints."""

    name: str
    functions: tuple[FunctionPlan, ...]
    segments: tuple[SegmentPlan, ...] = ()
    horizon: int = 0  # tokens from cut to cut of carried states; 0: never

    def __str__(self) -> str:
        functions = (text for function in self.functions for text in _text(function))
        return "\n".join([f"plan of {self.name}", *functions, *_segments_text(self)])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(self, lambda plan: boxed(_html(plan)), str)


def _html(plan: Plan) -> str:
    header = ("layers", "memories", "kernel", "why")
    rows = [
        (
            f"{function.layers[0]} x{len(function.layers)}",
            ", ".join(memory.members),
            memory.kernel + (" (slow)" if memory.slow else ""),
            memory.why,
        )
        for function in plan.functions
        for memory in function.memories
    ]
    fused = "".join(f"<li>{escaped(text)}</li>" for f in plan.functions for text in f.fused)
    return f"<b>plan of {escaped(plan.name)}</b>{table(header, rows)}<ul>{fused}</ul>"


def plan_of(program: Program) -> Plan:
    """Return the plan that a scheduled program carries."""
    ticks = online_memories.ticks(program)
    levels = {m.integer("period"): m.text("level") for _, m in online_memories.fast_ops(program)}
    return Plan(
        name=program.name,
        functions=tuple(_function(f) for f in program.functions),
        segments=tuple(
            SegmentPlan(level=level, period=period, graph=ticks.graph(period))
            for period, level in sorted(levels.items())
            if period
        ),
        horizon=ticks.horizon,
    )


def _segments_text(plan: Plan) -> Iterator[str]:
    if not plan.segments:
        return
    yield "\nsegments between the ticks of task memories"
    for one in plan.segments:
        moves = f"  {one.level}: moves every {one.period} tokens"
        yield f"{moves}, by a gradient through a graph of {one.graph} tokens"
    if plan.horizon:
        yield f"  carried states are constants every {plan.horizon} tokens (`model.horizon`)"
    else:
        yield "  carried states are never cut: `model: {horizon: LEVEL}` bounds the graphs"


def _function(function: Function) -> FunctionPlan:
    loops = tuple(_loop(function, op) for op in function.of_kind("loop"))
    straight = [o for o in function.ops if o.loop is None and o.kind not in ("memory", "write")]
    return FunctionPlan(
        name=function.name,
        layers=function.paths,
        memories=tuple(_memory(op) for op in function.of_kind("memory")),
        loops=loops,
        fused=tuple(_fusions(function)),
        straight=len(straight),
    )


def _memory(op: Op) -> MemoryPlan:
    return MemoryPlan(
        members=op.texts("members") or (op.name,),
        kernel=op.text("kernel"),
        why=op.text("why"),
        level=op.text("level"),
    )


def _loop(function: Function, loop: Op) -> LoopPlan:
    body = [op for op in function.ops if op.loop == loop.loop and op.kind != "loop"]
    periods = loop.attrs["periods"]
    assert isinstance(periods, tuple)
    stacks = [function.op(op.inputs[0]) for op in body if op.kind == "write"]
    return LoopPlan(
        periods=tuple(int(str(period)) for period in periods),
        longest=loop.integer("longest"),
        whole=loop.flag("whole"),
        memories=tuple(name for op in stacks for name in op.texts("members") or (op.name,)),
        ops=len(body),
    )


def _fusions(function: Function) -> Iterator[str]:
    for op in function.of_kind("linears"):
        owners = op.texts("owners")
        saved = len(owners) - 1
        what = f"{len(owners)} linear maps of `{op.inputs[0]}` in one product"
        yield f"{', '.join(owners)}: {what}, {saved} saved"
    for op in function.of_kind("conv"):
        taken = [what for key, what in (("silu", "SiLU"), ("unit", "l2 norm")) if op.attrs.get(key)]
        if taken:
            yield f"`{op.name}`: a convolution and its {' and '.join(taken)} in one"
    for op in function.of_kind("rms_norm"):
        if op.attrs.get("gate"):
            yield f"`{op.name}`: an RMS norm and its SiLU gate in one"
    for op in function.of_kind("write"):
        if "decay" in op.attrs:
            yield f"`{op.text('decay')}` into the scan of {op.inputs[0]}, which never keeps it"
    for op in function.of_kind("memory"):
        members = op.texts("members")
        if len(members) > 1:
            what = f"{len(members)} alike memories in one state"
            yield f"{', '.join(members)}: {what}, {len(members) - 1} writes saved"
    for op in function.of_kind("read"):
        chosen = op.attrs.get("member", ())
        if isinstance(chosen, tuple) and len(chosen) > 1:
            what = f"{len(chosen)} reads of `{op.inputs[1]}` in one"
            yield f"`{op.name}`: {what}, {len(chosen) - 1} saved"
    for op in function.of_kind("loop"):
        writes = [w for w in function.of_kind("write") if w.loop == op.loop]
        if len(writes) > 1:
            yield f"{len(writes)} chunk loops on one clock in one, {len(writes) - 1} saved"


def _text(plan: FunctionPlan) -> Iterator[str]:
    count = f" x{len(plan.layers)}" if len(plan.layers) > 1 else ""
    yield f"\n{plan.name}: {plan.layers[0]}{count}"
    for memory in plan.memories:
        mark = "  SLOW" if memory.slow else ""
        yield f"  {', '.join(memory.members)}"
        yield f"      {memory.kernel}{mark}: {memory.why}"
    for loop in plan.loops:
        ticks = " and ".join(f"every {period} tokens" for period in loop.periods) or "never"
        step = "one token" if loop.longest == 1 else f"up to {loop.longest} tokens"
        step += " in whole periods" if loop.whole else ""
        head = f"  loop over {', '.join(loop.memories)}"
        yield f"{head}: {loop.ops} ops, {step} at a time, ticks {ticks}"
    yield from (f"  fused {fusion}" for fusion in plan.fused)
    yield f"  {plan.straight} ops run once over the whole sequence"
