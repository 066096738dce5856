"""Vars: which value a `$name` has, and trees with all `$` arithmetic carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nestgraph.errors import Span
from nestgraph.findings import Findings
from nestgraph.recovery.fixes import Put, either
from nestgraph.text.arithmetic import ArithmeticProblem, Word, evaluate, is_arithmetic
from nestgraph.text.tree import BROKEN, Entry, Items, Scalar, Table, Tree

MAX_CHAIN = 50


class _BrokenVarError(Exception):
    """A var without a value; what is wrong with it has been said where it is defined."""


class Scope:
    """The vars that some part of a spec sees.

    A block sees what `with` gives it, then its own defaults, then the file's vars. A default may
    mention the file's var of the same name. Names that no scope knows are not reported here but,
    all at once, by `nestgraph.elaborate.mentions`.
    """

    def __init__(
        self,
        findings: Findings,
        defaults: Table | None = None,
        given: Mapping[str, Word | None] | None = None,
        outer: Scope | None = None,
        places: Mapping[str, Span] | None = None,
    ) -> None:
        self.findings = findings
        self.defaults: Mapping[str, Entry] = defaults.entries if defaults else {}
        self.values: dict[str, Word | None] = dict(given or {})  # None: broken
        self.outer = outer
        self.places: dict[str, Span] = dict(places or {})  # where each value was written
        self.asked: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The vars that `$` reaches here."""
        around = self.outer.names if self.outer is not None else ()
        return tuple(dict.fromkeys((*self.defaults, *self.values, *around)))

    def own(self) -> dict[str, Word | None]:
        """Return the values of this scope's own vars; None for a broken one."""
        return {name: self._own(name, None) for name in self.defaults}

    def apply(self, tree: Tree) -> Tree:
        """Return the tree with its arithmetic carried out; broken scalars have their finding."""
        if isinstance(tree, Table):
            entries = {
                key: Entry(entry.key, self.apply(entry.value))
                for key, entry in tree.entries.items()
            }
            return Table(entries, tree.span)
        if isinstance(tree, Items):
            return Items(tuple(self.apply(item) for item in tree.items), tree.span)
        if not isinstance(tree.value, str) or not is_arithmetic(tree.value):
            return tree
        value = self.evaluate(tree.value, tree)
        if not isinstance(value, str):
            return replace(tree, value=BROKEN if value is None else value)
        return replace(tree, value=value, origin=self._origin(tree.value.strip()[1:]))

    def evaluate(self, text: str, scalar: Scalar) -> Word | None:
        """Return the value of arithmetic that stands at the start of a scalar, or None."""
        try:
            return evaluate(text, lambda name, offset: self._lookup(name, offset, scalar))
        except _BrokenVarError:
            return None
        except ArithmeticProblem as problem:
            span = inside(scalar, problem.offset)
            cures = either(other_numbers(scalar))
            self.findings.add("NG107", str(problem), span, problem.hint, cures=cures)
            return None

    def _lookup(self, name: str, offset: int, scalar: Scalar) -> Word:
        value = self._find(name, inside(scalar, offset))
        if value is None:
            raise _BrokenVarError
        return value

    def _find(self, name: str, span: Span | None) -> Word | None:
        own_default = bool(self.asked) and self.asked[-1] == name and self.outer is not None
        if name in self.defaults and not own_default:
            return self._own(name, span)
        return self.outer._find(name, span) if self.outer is not None else None

    def _origin(self, name: str) -> Span | None:
        """Return where the word of a var was written; None for what is no var."""
        if name in self.places:
            return self.places[name]
        return self.outer._origin(name) if self.outer is not None else None

    def _own(self, name: str, span: Span | None) -> Word | None:
        if name in self.values:
            return self.values[name]
        if name in self.asked:
            around = " -> ".join((*self.asked[self.asked.index(name) :], name))
            message = f"var `{name}` needs itself: {around}"
            cures = either(other_numbers(self.defaults[name].value))
            hint = "give one of them a value of its own"
            self.findings.add("NG109", message, span, hint, cures=cures)
            return None
        if len(self.asked) >= MAX_CHAIN:
            message = f"var `{name}` stands at the end of a chain of {MAX_CHAIN} vars"
            self.findings.add("NG109", message, span, "give one of them a value of its own")
            return None
        self.asked.append(name)
        self.values[name] = self._default(name)
        self.asked.pop()
        return self.values[name]

    def _default(self, name: str) -> Word | None:
        tree = self.defaults[name].value
        if isinstance(tree, Scalar) and tree.value is BROKEN:
            return None
        if not isinstance(tree, Scalar) or tree.value is None:
            cures = either(other_numbers(tree))
            self.findings.wrong(f"var `{name}`", tree, "a number or a word", cures=cures)
            return None
        value = self.apply(tree)
        found = value.value if isinstance(value, Scalar) else None
        if isinstance(value, Scalar):
            self.places[name] = value.written
        return None if found is BROKEN or not isinstance(found, Word) else found


def other_numbers(tree: Tree) -> tuple[Put, ...]:
    """Return numbers in place of a value that has none; small ones, and one that these divide."""
    return tuple(Put(tree.span, number) for number in (1, 2, 840, 0.5, 16, 7, 4))


def inside(scalar: Scalar, offset: int) -> Span:
    """Return the place of a character of a scalar's text."""
    if scalar.span.end_column is None:
        return scalar.span
    column = scalar.span.column + offset + (1 if scalar.quoted else 0)
    return Span(file=scalar.span.file, line=scalar.span.line, column=column)
