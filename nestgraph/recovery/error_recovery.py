"""What else is wrong with a spec that has mistakes, by reading it again with them put right.

Widths, clocks and rules are judged on a whole system, and a spec with a mistake in its text makes
none. So its tree is read again: words that are plainly misspelt as they were meant, and, for every
other mistake, several times, each time with other values in its place (`nestgraph.recovery.fixes`).
What is found every time does not come from the mistake; what is found only sometimes may, and is
not said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nestgraph.errors import Diagnostic, Span
from nestgraph.findings import Findings
from nestgraph.recovery.fixes import Cure, Cures, Drop, Rename, cured
from nestgraph.text.tree import Table

ROUNDS = 4  # of mistakes that show when others have been read as they were meant
MOST_READINGS = 32  # with other cures each time
MOST_HOLES = 24
MOST_MISTAKES = 400  # of a spec that is read again at all
MOST_TRIALS = 240  # readings in all; a spec that would need more is left at what is found first
MOST_PARTS = 100_000  # nodes and memories that are built in these readings
# That nothing does something: what stands in for a mistake may be what was to do it. And that a
# start goes round: in a block of one memory any that stands in is that one.
ABSENT = ("NG120", "NG230", "NG332", "NG340", "NG341", "NG342", "NG350", "NG403", "NG404")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one reading of a tree brings.

    Attributes:
        parts: nodes and memories that were built.
        front: findings of the schema and of names; an error among them leaves no system.
        named: findings on the optimizers that it names; an error leaves that one out.
        rest: findings on the system; empty without one.
    """

    parts: int = 0
    front: Findings
    named: Findings = field(default_factory=Findings)
    rest: tuple[Diagnostic, ...] = ()

    @property
    def all(self) -> tuple[Diagnostic, ...]:
        """Every finding."""
        return (*self.front, *self.named, *self.rest)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The mistakes that leave no system."""
        return tuple(one for one in self.front if one.severity == "error")


Judge = Callable[[Table], Outcome]
Place = tuple[str, Span | None]
Mistake = tuple[str, Span | None, str]


def further(tree: Table, earlier: Findings, outcome: Outcome, judge: Judge) -> list[Diagnostic]:
    """Return the findings that the mistakes of a spec hide.

    Args:
        tree: of the spec.
        earlier: what was found before there was a tree; it does not come again.
        outcome: of reading the tree as it is.
        judge: reads a tree.
    """
    return _Rereading(tree, earlier, outcome, judge).run()


class _Hole:
    """A mistake's cures, each tried when it is first asked for.

    Attributes:
        works: those that have been found to work.
        tried: whether no other is left.
    """

    def __init__(self, cures: Iterator[Cure]) -> None:
        self.works: list[Cure] = []
        self.tried = False
        self._left = cures

    def at(self, turn: int) -> Cure | None:
        """Return the cure of one reading; other holes go round at another pace."""
        while len(self.works) <= turn and not self.tried:
            cure = next(self._left, None)
            if cure is None:
                self.tried = True
            else:
                self.works.append(cure)
        count = len(self.works)
        return self.works[(turn + turn // count) % count] if count else None


class _Rereading:
    """One spec with mistakes, read again and again."""

    def __init__(self, tree: Table, earlier: Findings, outcome: Outcome, judge: Judge) -> None:
        self.tree = tree
        self.outcome = outcome
        self.judge = judge
        self.open = [one for one in earlier if one.severity == "error"]
        self.cures = {**earlier.cures, **outcome.front.cures}
        self.known = {_place(one) for one in (*earlier, *outcome.front)}
        self.found: list[Diagnostic] = []
        self.outcomes: dict[tuple[int, ...], Outcome] = {}  # by the identity of the cures

    def run(self) -> list[Diagnostic]:
        if len(self.open) + len(self.outcome.errors) > MOST_MISTAKES:
            return []
        self._as_meant()
        holes = self._holes()
        if holes is not None:
            self._note(self._always(holes))
            named = self._named(holes)
            if named:
                self._note(self._always([*holes, *named]))
        return self.found

    def _note(self, findings: Iterable[Diagnostic]) -> None:
        """Take what has not been said about its place."""
        fresh = [one for one in findings if _place(one) not in self.known]
        self.found += fresh
        self.known |= {_place(one) for one in fresh}

    def _read(self, cures: Sequence[Cure]) -> Outcome | None:
        """Return what the tree says with some mistakes put right; None when enough has been
        tried.
        """
        key = tuple(map(id, cures))
        if key not in self.outcomes:
            if len(self.outcomes) >= min(MOST_TRIALS, MOST_PARTS // max(1, self.outcome.parts)):
                return None
            self.outcomes[key] = self.judge(cured(self.tree, cures))
        return self.outcomes[key]

    def _as_meant(self) -> None:
        """Put right what is plainly misspelt, and what shows itself after that."""
        for _ in range(ROUNDS):
            holes = (*self.open, *self.outcome.errors)
            plain = self._sound(
                [one for one in holes if (found := self.cures.get(one)) and found.meant]
            )
            if not plain:
                return
            self.tree = cured(self.tree, [self.cures[one].choices[0] for one in plain])
            self.open = [one for one in self.open if one not in plain]
            self.outcomes = {}
            self.outcome = self.judge(self.tree)
            self.cures |= self.outcome.front.cures
            self._note(self.outcome.front)

    def _sound(self, plain: list[Diagnostic]) -> list[Diagnostic]:
        """Return those that no new mistake speaks against: a guess at a value must fit its place.

        A mistyped key is that key, whatever it holds.
        """
        before = _mistakes(self.outcome.errors)
        first = {one: self.cures[one].choices[0] for one in plain}
        if self._new(tuple(first.values()), before) == ():
            return plain
        keys = [one for one in plain if all(isinstance(part, Rename) for part in first[one])]
        return [one for one in plain if one in keys or self._new((first[one],), before) == ()]

    def _new(self, cures: Sequence[Cure], before: set[Mistake]) -> tuple[Diagnostic, ...] | None:
        """Return the mistakes that some cures bring, beside those before; None if that is not
        known.
        """
        outcome = self._read(cures)
        if outcome is None:
            return None
        return tuple(one for one in outcome.errors if _mistake(one) not in before)

    def _holes(self) -> list[_Hole] | None:
        """Return a hole for each mistake; None if one of them has no cure that works."""
        if any(one not in self.cures for one in self.open):
            return None
        if len(self.open) + len(self.outcome.errors) > MOST_HOLES:
            return None
        holes = [_Hole(iter(self.cures[one].choices)) for one in self.open]
        todo = list({_mistake(one): one for one in self.outcome.errors}.values())
        known, base = _mistakes(todo), tuple[Cure, ...]()
        while todo:
            error = todo.pop(0)
            hole = _Hole(self._working(error, base, known, len(holes)))
            if hole.at(0) is None:
                hidden = self._hidden(error, base, known)
                known |= _mistakes(hidden)
                todo += hidden
                hole = _Hole(self._working(error, base, known, len(holes)))
                first = hole.at(0)
                if first is None:
                    return None
                self._note(hidden)
                base = (*base, first)
            holes.append(hole)
        return holes if len(holes) <= MOST_HOLES else None

    def _working(
        self, error: Diagnostic, base: tuple[Cure, ...], known: set[Mistake], turned: int
    ) -> Iterator[Cure]:
        """Yield the cures that make a mistake go and bring none that is not known.

        Each mistake starts elsewhere among its cures, so that two sizes are not always the same.
        """
        left, tried = known - {_mistake(error)}, self._tried(error)
        start = turned % len(tried) if tried else 0
        for cure in (*tried[start:], *tried[:start]):
            if self._new((*base, cure), left) == ():
                yield cure

    def _tried(self, error: Diagnostic) -> tuple[Cure, ...]:
        choices = self.cures.get(error, Cures(())).choices
        step = max(1, len(choices) // MOST_READINGS)
        return choices[::step][:MOST_READINGS]

    def _hidden(
        self, error: Diagnostic, base: tuple[Cure, ...], known: set[Mistake]
    ) -> list[Diagnostic]:
        """Return the mistakes that show whichever way another, which hides them, is put right."""
        always: list[Diagnostic] | None = None
        tried = self._tried(error)
        if all(isinstance(change, Drop) for cure in tried for change in cure):
            return []  # what is gone may be what a new mistake misses
        for cure in tried:
            outcome = self._read((*base, cure))
            if outcome is None:
                return []
            self.cures |= outcome.front.cures
            places = {change.at for change in cure}
            new = [
                one
                for one in outcome.errors
                if _mistake(one) not in known and one.span not in places
            ]
            seen = _mistakes(new)
            always = [one for one in (new if always is None else always) if _mistake(one) in seen]
        return always or []

    def _named(self, holes: list[_Hole]) -> list[_Hole]:
        """Return the holes of mistakes in optimizers that the spec names, the others put right."""
        others = _reading(holes, 0)
        outcome = None if others is None else self._read(others)
        if others is None or outcome is None:
            return []
        found: list[_Hole] = []
        for error in outcome.named:
            self.cures |= outcome.named.cures
            hole = _Hole(self._naming(error, others, _mistakes(outcome.named)))
            if hole.at(0) is not None:
                found.append(hole)
        return found

    def _naming(
        self, error: Diagnostic, others: tuple[Cure, ...], known: set[Mistake]
    ) -> Iterator[Cure]:
        for cure in self._tried(error):
            outcome = self._read((*others, cure))
            left = known - {_mistake(error)}
            if outcome and not outcome.errors and _mistakes(outcome.named) <= left:
                yield cure

    def _always(self, holes: list[_Hole]) -> list[Diagnostic]:
        """Return what is found whichever way the mistakes are put right."""
        always: list[Diagnostic] | None = None
        left_out = ABSENT if holes else ()
        for turn in range(MOST_READINGS):
            cures = _reading(holes, turn)
            outcome = None if cures is None else self._read(cures)
            if cures is None or outcome is None:
                return []
            if not outcome.errors:
                planted = {change.at for cure in cures for change in cure}
                found = [
                    one
                    for one in outcome.all
                    if one.span not in planted
                    and one.code not in left_out
                    and _place(one) not in self.known
                ]
                always = found if always is None else [one for one in always if one in found]
            tried = all(hole.tried and len(hole.works) <= turn + 1 for hole in holes)
            if always == [] or tried:
                break
        return always or []


def _reading(holes: list[_Hole], turn: int) -> tuple[Cure, ...] | None:
    """Return one cure for each mistake."""
    cures = tuple(cure for hole in holes if (cure := hole.at(turn)) is not None)
    return cures if len(cures) == len(holes) else None


def _place(finding: Diagnostic) -> Place:
    return finding.code, finding.span


def _mistake(finding: Diagnostic) -> Mistake:
    return finding.code, finding.span, finding.message


def _mistakes(findings: Iterable[Diagnostic]) -> set[Mistake]:
    return {_mistake(one) for one in findings}
