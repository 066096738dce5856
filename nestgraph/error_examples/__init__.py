"""Every code that a spec can get, with a spec that gets it and the same spec put right.

A page is a Markdown file beside this one: why the rule is there, then the two specs. What `check`
says about the wrong one is never written down but found out, so that it can't grow old.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nestgraph.codes import CODES
from nestgraph.errors import render
from nestgraph.language.spec import check
from nestgraph.text.files import Disk

FILE = "example.yaml"
NOTES = "notes.txt"
_FENCE = re.compile(r"^## (\w+)\n\n```yaml(?: --set (\S+)=(\S+))?\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A spec, with what `--set` changes in it."""

    text: str
    changes: Mapping[str, str] = field(default_factory=dict)

    def said(self) -> str:
        """Return what `nestgraph check` prints about it; nothing if it is right."""
        found, sources = check(FILE, self.changes, _OneFile(self.text))
        return "\n".join(render(finding, sources) for finding in found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The page of a code.

    Attributes:
        code: such as `NG201`.
        meaning: its line in the table of codes.
        why: what the rule is for.
        wrong: a spec that gets it.
        right: the same spec put right.
    """

    code: str
    meaning: str
    why: str
    wrong: Example
    right: Example

    def __str__(self) -> str:
        wrong, right = (_indented(one.text) for one in (self.wrong, self.right))
        head = f"{self.code}  {self.meaning}\n\n{self.why}"
        return f"{head}\n\nwrong\n\n{wrong}\n\n{self.wrong.said()}\n\nright\n\n{right}"

    def markdown(self) -> str:
        """Return the page as a section of the documentation, with an anchor of its code."""
        return (
            f"## {self.code}\n\n{self.meaning}\n{self.why}\n\n{_fenced(self.wrong)}\n"
            f"```\n{self.wrong.said()}\n```\n\n{_fenced(self.right, 'Put right')}"
        )


class _OneFile(Disk):
    """The shipped specs, one text as a file, and notes beside it."""

    def __init__(self, text: str) -> None:
        self.texts = {FILE: text, NOTES: "wider, next time\n"}

    def find(self, name: str, beside: str | None = None) -> str:
        return name if name in self.texts else super().find(name, beside)

    def read(self, file: str) -> str:
        return self.texts[file] if file in self.texts else super().read(file)


def codes() -> tuple[str, ...]:
    """Return every code that has a page."""
    folder = importlib.resources.files(__name__)
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in names if name.endswith(".md")))


def explanation(code: str) -> Explanation:
    """Return the page of a code, which must be one of `codes()`."""
    folder = importlib.resources.files(__name__)
    text = folder.joinpath(f"{code}.md").read_text(encoding="utf-8")
    examples = {
        title: Example(text=spec, changes={path: value} if path else {})
        for title, path, value, spec in _FENCE.findall(text)
    }
    return Explanation(
        code=code,
        meaning=CODES[code],
        why=text.partition("\n## ")[0].strip(),
        wrong=examples["Wrong"],
        right=examples["Right"],
    )


def page() -> str:
    """Return all explanations as one page of the documentation."""
    return _HEAD + "\n".join(explanation(code).markdown() for code in codes())


_HEAD = """\
# Errors by example

Each code of [the table](errors.md) that `nestgraph check` can give.
First a spec that gets it, then what `check` says, then the spec put right.
`nestgraph explain NG201` prints one of them.
This page is made by `python -m nestgraph.error_examples`.

"""


def _fenced(example: Example, title: str = "") -> str:
    changes = [f"`--set {path}={value}`" for path, value in example.changes.items()]
    words = ", ".join(filter(None, [title, f"with {' '.join(changes)}" if changes else ""]))
    head = f"{words[0].upper()}{words[1:]}:\n\n" if words else ""
    return f"{head}```yaml\n{example.text}```\n"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
