"""Options that take several values at once: `--seeds 0 1 2`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

Takes = Callable[[str], bool]


def number(word: str) -> bool:
    """Return whether a word is one, be it a wrong one such as -1."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def name(word: str) -> bool:
    """Return whether a word is no option."""
    return not word.startswith("-")


SEVERAL: Mapping[str, Takes] = {"--seeds": number, "--lr": number, "--ablate": name}


class Several(TyperCommand):
    """A command whose options in `SEVERAL` take all values that follow them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further value, which is what the parser knows."""
        return super().parse_args(ctx, spread(args))


def spread(arguments: Sequence[str]) -> list[str]:
    """Return `--seeds 0 1 2` as `--seeds 0 --seeds 1 --seeds 2`; nothing behind `--` is changed."""
    found: list[str] = []
    option, awaited = "", False  # the option whose values may follow, whether one must
    for at, word in enumerate(arguments):
        if word == "--":
            return [*found, *arguments[at:]]
        if option and (awaited or SEVERAL[option](word)):
            found += [word] if awaited else [option, word]
            awaited = False
            continue
        name, equals, _ = word.partition("=")
        option = name if name in SEVERAL else ""
        awaited = bool(option) and not equals
        found.append(word)
    return found
