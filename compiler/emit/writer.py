"""Builds the Python source of one function: names, weights, states, regions.

A function becomes three Python functions over local variables only:
    prepare(p)            work on parameters alone: joined and stacked weights
    initial(w, x)         the state before the first position
    run(w, x, s, start, written)   the positions of x; returns the output and the new state

Values from outside a loop are cut to its segments in front of it, all at once, so that their
gradients are joined once too; values that are needed outside are joined behind it.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nestgraph.compiler.ir import Function, Op, Program

INDENT = "    "
_RESERVED = frozenset(
    {"F", "begin", "due", "end", "ops", "p", "s", "start", "torch", "w", "written", "x"}
)


def as_tuple(names: Iterable[str]) -> str:
    """Return names as a tuple of Python, whatever their number."""
    listed = list(names)
    return f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"


@dataclass(kw_only=True)
class Region:
    """Straight-line code under way: the whole function, or the body of one loop."""

    loop: Op | None = None
    cuts: list[str] = field(default_factory=list)  # in front of the loop, over its `segments`
    head: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)  # derived or flow -> variable


class FunctionWriter:
    """Collects the source of one function while the emitters go through its ops."""

    def __init__(self, program: Program, function: Function) -> None:
        self.program = program
        self.function = function
        self.ops = {op.name: op for op in function.ops}
        self.forms: dict[str, str] = {}  # expression -> constant of the module
        self.weights: dict[str, str] = {}  # expression over p -> variable
        self.states: dict[str, tuple[str, str]] = {}  # name -> (variable, first value)
        self._taken = set(_RESERVED)
        self.outer = Region(values={function.input: "x"})
        self.region = self.outer

    def fresh(self, hint: str) -> str:
        """Return a variable name like `hint` that nothing else uses."""
        base = re.sub(r"\W", "_", hint)
        if not base or base[0].isdigit() or keyword.iskeyword(base) or not base.isascii():
            base = f"v_{re.sub(r'[^0-9A-Za-z_]', '_', base)}"
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name

    def line(self, text: str) -> None:
        """Add a line to the region under way."""
        self.region.lines.append(text)

    def weight(self, expression: str, hint: str) -> str:
        """Return the variable of a value made from parameters alone, computed once a forward."""
        if expression not in self.weights:
            self.weights[expression] = self.fresh(hint)
        return self.weights[expression]

    def state(self, name: str, first: str) -> str:
        """Return the variable of a state; `first` is its value before the first position."""
        if name not in self.states:
            self.states[name] = (self.fresh(name), first)
        return self.states[name][0]

    def assign(self, op: Op, expression: str) -> str:
        """Bind the op's value to an expression; returns the variable."""
        variable = self.fresh(op.name)
        self.line(f"{variable} = {expression}")
        self.region.values[op.name] = variable
        return variable

    def bind(self, op: Op, variable: str) -> None:
        """Say that the op's value lives in `variable` already."""
        self.region.values[op.name] = variable

    def parts(self, op: Op) -> list[Op]:
        """Return all parts of the value that `op` is a part of, which cover it in this order."""
        found = [
            one
            for one in self.function.of_kind("part")
            if one.inputs == op.inputs and one.loop == op.loop
        ]
        found.sort(key=lambda one: one.integer("start"))
        ends = [one.integer("start") + (one.width or 0) for one in found]
        assert [0, *ends[:-1]] == [one.integer("start") for one in found], op.name
        assert ends[-1] == self.ops[op.inputs[0]].width, op.name
        return found

    def flow(self, name: str) -> str:
        """Return the variable of a flow in the region under way: (B, T, width)."""
        return self._here(name, lambda: self.outer.values[name], 1)

    def heads(self, name: str, heads: int) -> str:
        """Return the variable of a flow split into heads: (B, H, T, d)."""
        return self._derived(name, f"heads{heads}", f"ops.split_heads({{}}, {heads})")

    def stacked_heads(self, names: list[str], heads: int) -> str:
        """Return the variable of several flows split into heads and stacked: (B, H, M, T, d)."""
        key = f"{'+'.join(names)}:stack{heads}"
        if self._inside and not any(name in self.region.values for name in names):
            return self._here(key, lambda: self._stacked_outside(key, names, heads), 3)
        split = [self.heads(name, heads) for name in names]
        variable = self.fresh("queries")
        self.line(f"{variable} = torch.stack(({', '.join(split)}), 2)")
        return variable

    def events(self, names: list[str], heads: int) -> str:
        """Return the variable of several flows as events of one position: (B, H, T·n, d)."""
        if len(names) == 1:
            return self.heads(names[0], heads)
        key = f"{'+'.join(names)}:events{heads}"
        if key not in self.region.values:
            split = [self.heads(name, heads) for name in names]
            variable = self.fresh("events")
            self.line(f"{variable} = torch.stack(({', '.join(split)}), 3).flatten(2, 3)")
            self.region.values[key] = variable
        return self.region.values[key]

    def now(self) -> str:
        """Return the absolute position at which the region under way begins."""
        return "start + begin" if self._inside else "start"

    def written(self) -> str:
        """Return the variable that says which positions are written, (B, T); None where all are."""
        return self._here("written:", lambda: "written", 1)

    def coefficient(self, name: str, heads: int) -> str:
        """Return the variable of a flow as a rate: (B, H, T)."""
        return self._derived(name, f"rate{heads}", f"ops.coefficient({{}}, {heads})")

    @property
    def _inside(self) -> bool:
        return self.region is not self.outer

    def _derived(self, name: str, key: str, template: str) -> str:
        """Return a flow's other form; of flows from outside a loop it is made outside, then cut."""
        if self._inside and name in self.region.values:
            return self._made(self.region, name, key, template)
        return self._here(f"{name}:{key}", lambda: self._made(self.outer, name, key, template), 2)

    def _made(self, region: Region, name: str, key: str, template: str) -> str:
        """Return a derived value, computed once in `region`, which holds the flow."""
        full = f"{name}:{key}"
        if full not in region.values:
            variable = self.fresh(f"{region.values[name]}_{key.rstrip('0123456789')}")
            region.lines.append(f"{variable} = {template.format(region.values[name])}")
            region.values[full] = variable
        return region.values[full]

    def _stacked_outside(self, key: str, names: list[str], heads: int) -> str:
        body, self.region = self.region, self.outer
        if key not in self.outer.values:
            self.outer.values[key] = self.stacked_heads(names, heads)
        self.region = body
        return self.outer.values[key]

    def _here(self, name: str, outside: Callable[[], str], axis: int) -> str:
        """Return the variable of a value; one from outside the loop is cut along its axis of
        time.
        """
        if name in self.region.values:
            return self.region.values[name]
        variable = outside()
        if not self._inside:
            return variable
        here = self.fresh(f"{variable}_now")
        pieces = self.fresh(f"{variable}_pieces")
        self.region.cuts.append(f"{pieces} = ops.pieces({variable}, {axis}, {{segments}})")
        self.region.head.append(f"{here} = {pieces}[begin]")
        self.region.values[name] = here
        return here

    def enter(self, loop: Op) -> None:
        """Begin the body of a loop."""
        assert self.region is self.outer
        self.region = Region(loop=loop)

    def leave(self, tail: Iterable[str]) -> None:
        """End the body of a loop; `tail` closes every segment."""
        body, self.region = self.region, self.outer
        assert body.loop is not None
        gathered = [name for name in self._needed_outside(body.loop) if name in body.values]
        lines = [*body.head, *body.lines, *tail]
        words = set(re.findall(r"\w+", "\n".join(lines)))
        states = [variable for variable, _ in self.states.values() if variable in words]
        name = self.fresh(f"segment{body.loop.loop}")
        periods, longest = body.loop.attrs["periods"], body.loop.attrs["longest"]
        segments = self.fresh("segments")
        cut = f"start, x.shape[1], {periods!r}, {longest}"
        cut += ", whole=True" if body.loop.flag("whole") else ""
        self.line(f"{segments} = list(ops.segments({cut}))")
        for text in body.cuts:
            self.line(text.format(segments=segments))
        self.line(f"def {name}({', '.join(['begin', 'end', 'due', *states])}):")
        answer = f"return {as_tuple([body.values[n] for n in gathered])}, {as_tuple(states)}"
        for text in [*lines, answer]:
            self.line(f"{INDENT}{text}")
        for each in gathered:
            self.outer.values[each] = self.fresh(each)
        flows = as_tuple([self.outer.values[each] for each in gathered])
        target = f"{flows if gathered else '_'}, {as_tuple(states)}"
        self.line(f"{target} = ops.checkpointed_loop({name}, {segments}, {as_tuple(states)})")

    def _needed_outside(self, loop: Op) -> list[str]:
        index = loop.loop
        inside = [op.name for op in self.function.ops if op.loop == index and op.width is not None]
        needed = {i for op in self.function.ops if op.loop != index for i in op.inputs}
        return [name for name in inside if name in needed or name == self.function.output]
