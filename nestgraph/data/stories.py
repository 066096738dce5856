"""bAbI's questions about short stories: tasks 1 to 5 of version 1.2, in English."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from nestgraph.data.shipped import read_shipped

TASKS = range(1, 6)
LINE = re.compile(r"(\d+) (.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question, and what was told before it.

    Attributes:
        facts: sentences of its story so far, in order.
        text: the question.
        answer: one word, or several with commas between them.
    """

    facts: tuple[str, ...]
    text: str
    answer: str


@cache
def load_questions(task: int, part: Literal["train", "test"]) -> tuple[Question, ...]:
    """Return the 1,000 questions of a task, in the order of its file.

    Args:
        task: 1 to 5.
        part: which of its two files.

    Raises:
        InputError: the file is damaged (NG703).
    """
    assert task in TASKS, task
    with tarfile.open(fileobj=io.BytesIO(read_shipped("babi"))) as folder:
        [name] = [name for name in folder.getnames() if re.match(rf"qa{task}_.*_{part}\.txt", name)]
        file = folder.extractfile(name)
        assert file is not None, f"{name} is a file"
        return tuple(_questions(file.read().decode()))


def _questions(text: str) -> Iterator[Question]:
    facts: list[str] = []
    for line in text.splitlines():
        found = LINE.fullmatch(line)
        assert found is not None, line
        if found[1] == "1":
            facts = []
        question, tab, rest = found[2].partition("\t")
        if tab:
            yield Question(
                facts=tuple(facts), text=question.strip(), answer=rest.partition("\t")[0]
            )
        else:
            facts.append(question.strip())
