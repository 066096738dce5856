"""A collector of findings, and the "did you mean" of every message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache

from nestgraph.errors import KNOWN, Diagnostic, Severity, Span
from nestgraph.recovery.fixes import Cures, Define, Put, as_meant, as_named, either
from nestgraph.recovery.habits import folded, is_foreign, meant_by, otherwise
from nestgraph.text.tree import Tree, shown

MANY = 200
MOST_NAMES = 16  # in place of an unknown one
MOST_HELPED = 200  # findings of a spec for which all is sought that may have been meant
LIKE = 0.6  # how like a word must be to be meant
LIKE_A_SLIP = 0.85  # and how like, where it is a right word of another tool


class Findings(list[Diagnostic]):
    """The diagnostics of one run, in the order in which they were met.

    Attributes:
        cures: what may put a mistake right, as far as that is known.
        vars: the vars that `$` reaches where findings are made just now.
        ops: the ops that fit into what the file describes; empty while that is not known.
    """

    def __init__(self, given: Iterable[Diagnostic] = ()) -> None:
        super().__init__(given)
        self.vars: tuple[str, ...] = ()
        self.ops: tuple[str, ...] = ()
        self.cures: dict[Diagnostic, Cures] = {}

    def add(
        self,
        code: str,
        message: str,
        span: Span | None,
        hint: str = "",
        severity: Severity = "error",
        cures: Cures | None = None,
    ) -> None:
        """Note one finding."""
        found = Diagnostic(code=code, message=message, span=span, hint=hint, severity=severity)
        self.append(found)
        if cures is not None:
            self.cures[found] = cures

    def wrong(
        self, what: str, value: Tree, wanted: str, hint: str = "", cures: Cures | None = None
    ) -> None:
        """Note a value that is not what was expected."""
        cure = f"expected {wanted}; {hint}" if hint else f"expected {wanted}"
        self.add("NG104", f"{what} is {shown(value)}", value.span, cure, cures=cures)

    def take(self, other: Findings, some: Iterable[Diagnostic] | None = None) -> None:
        """Note findings of another run, all or some, with what may put them right."""
        for one in other if some is None else some:
            self.append(one)
            if one in other.cures:
                self.cures[one] = other.cures[one]

    @property
    def helps(self) -> bool:
        """Return whether what was meant is still sought, which takes too long after hundreds."""
        return len(self) < MOST_HELPED

    @property
    def failed(self) -> bool:
        """Return whether any of them is an error."""
        return any(finding.severity == "error" for finding in self)


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that the author most likely meant, if any comes near."""
    choices = list(known)
    for habit in meant_by(word):
        if habit in choices:
            return habit
    spelling = folded(word)
    for choice in choices:
        if choice[:1].lower() == word[:1].lower() and folded(choice) == spelling:
            return choice
    near = _like(word, choices, 1, LIKE_A_SLIP if is_foreign(word) else LIKE)
    return near[0] if near else None


def _like(word: str, choices: list[str], count: int, least: float) -> list[str]:
    """Return the choices that are spelt most like a word."""
    if len(choices) > MANY:  # comparing is slow; a typo keeps the first letter most of the time
        choices = [choice for choice in choices if choice[:1] == word[:1]][:MANY]
    return list(_nearest(word, tuple(choices), count, least))


@lru_cache(
    maxsize=64
)  # one mistake is compared with the same words for its hint and for what may put it right
def _nearest(word: str, choices: tuple[str, ...], count: int, least: float) -> tuple[str, ...]:
    lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), lower, n=count, cutoff=least)
    return tuple(lower[one] for one in near)


def near_words(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words that the author may have meant, the likeliest first."""
    choices = list(known)
    first = closest(word, choices)
    if first is None:
        return []
    return list(dict.fromkeys([first, *_like(word, choices, 3, LIKE)]))


def respelt(span: Span, word: str, known: Iterable[str], others: Cures) -> Cures:
    """Return the known word that a mistyped one resembles, before all else that may be right."""
    near = closest(word, known)
    return others if near is None else as_meant(Put(span, near), word, near, others)


def near_names(
    span: Span, name: str, known: Iterable[str], missing: Iterable[Define] = ()
) -> Cures:
    """Return what a name that there is not may have been meant to be.

    Args:
        span: of the name.
        name: which nothing has.
        known: the names that there are; one like it comes first, but any may be right.
        missing: things of that name that may not have been defined.
    """
    names = list(known)
    near = near_words(name, names)
    all_names = list(dict.fromkeys((*near, *names)))
    step = max(1, len(all_names) // MOST_NAMES)
    others = either([*missing, *(Put(span, word) for word in all_names[::step])])
    return as_named(Put(span, near[0]), name, near[0], others) if len(near) == 1 else others


def other_names(span: Span, known: Iterable[str]) -> Cures:
    """Return any of some names in place of one."""
    return either(Put(span, name) for name in known)


def did_you_mean(word: str, known: Iterable[str], limit: int = 12) -> str:
    """Return a hint for a word that is not among the known ones."""
    choices = list(known)
    near = closest(word, choices)
    if near is not None:
        return f"did you mean `{near}`?"
    if not choices:
        return ""
    if len(choices) > limit:
        return ""
    return f"{KNOWN}{listed(choices)}"


def word_of_language(word: str, known: Iterable[str]) -> str:
    """Return a hint for a word where one of the language stands: the one meant, how else, or
    all.
    """
    choices = list(known)
    near = closest(word, choices)
    if near is not None:
        return f"did you mean `{near}`?"
    return otherwise(word) or did_you_mean(word, choices, limit=len(choices))


def listed(words: Iterable[str], last: str = "and") -> str:
    """Return `a`, `b` and `c`."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
