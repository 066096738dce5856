"""The IR: a program of functions, each a flat list of named values, one op a value.

All of it is frozen data. A *function* is one item of the model's stack; layers that repeat
share one. An op has a name (the value that it makes), a kind, inputs by name, attributes and
the width of its value in channels (None for a value that is no flow).

Kinds beside the ops of the language:
    memory   declares a memory; its attributes are its axes
    write    lets a memory learn from this position's event; `roles` names its inputs
    read     asks a memory; the first input is the memory, the second the query
    linears  several linear maps of one flow in one product
    part     a run of channels of a wider value
    rates    notes, for a memory that the task moves, its rates at the last position

After scheduling, ops that carry an equal `loop` attribute stand together and run segment by
segment. `compiler.text` prints a program and parses it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from nestgraph.errors import Span
from nestgraph.language.system import Clock

Attr = str | int | float | bool | None | tuple["Attr", ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Op:
    """One value and how it is made."""

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    width: int | None = None
    span: Span | None = field(default=None, compare=False)

    def with_attrs(self, **attrs: Attr) -> Op:
        """Return this op with attributes added or replaced."""
        return replace(self, attrs={**self.attrs, **attrs})

    def text(self, key: str) -> str:
        """Return an attribute that is text."""
        value = self.attrs[key]
        assert isinstance(value, str), (self.name, key, value)
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an attribute that is a whole number."""
        value = self.attrs.get(key, default)
        assert isinstance(value, int), (self.name, key, value)
        return value

    def number(self, key: str) -> float:
        """Return an attribute that is a number."""
        value = self.attrs[key]
        assert isinstance(value, int | float), (self.name, key, value)
        return float(value)

    def flag(self, key: str) -> bool:
        """Return an attribute that is true or false; false when absent."""
        return bool(self.attrs.get(key, False))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an attribute that is a list of texts; empty when absent."""
        value = self.attrs.get(key, ())
        assert isinstance(value, tuple), (self.name, key, value)
        return tuple(str(item) for item in value)

    @property
    def loop(self) -> int | None:
        """The loop that runs this op; None for straight-line ops."""
        value = self.attrs.get("loop")
        assert value is None or isinstance(value, int)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """What one item of the stack computes. `paths` are the layers that run it."""

    name: str
    paths: tuple[str, ...]
    input: str
    width: int
    ops: tuple[Op, ...]
    output: str

    def op(self, name: str) -> Op:
        """Return the op that makes `name`.

        Raises:
            KeyError: no op of this function makes it.
        """
        for op in self.ops:
            if op.name == name:
                return op
        raise KeyError(name)

    def of_kind(self, *kinds: str) -> Iterator[Op]:
        """Return ops of these kinds, in order."""
        return (op for op in self.ops if op.kind in kinds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A whole model: embedding, functions in the order of `layers`, norm and head."""

    name: str
    vocab: int
    width: int
    norm: str | None
    tie_head: bool
    classes: int  # scores of the head
    horizon: int = 0  # tokens from cut to cut of gradients through carried states; 0: never
    clocks: tuple[Clock, ...]
    functions: tuple[Function, ...]

    @property
    def layers(self) -> tuple[tuple[str, Function], ...]:
        """(path, function) of every layer, in the order in which they run."""
        pairs = [(path, f) for f in self.functions for path in f.paths]
        return tuple(sorted(pairs, key=lambda pair: int(pair[0].split(".", 1)[0])))

    def map(self, change: Callable[[Function], Function]) -> Program:
        """Return this program with every function replaced by `change(function)`."""
        return replace(self, functions=tuple(change(f) for f in self.functions))
