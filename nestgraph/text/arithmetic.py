"""The small arithmetic of scalars that contain `$`.

    sum     = product (("+" | "-") product)*
    product = sign (("*" | "/" | "//") sign)*
    sign    = ("-" | "+") sign | power
    power   = atom ("^" sign)?
    atom    = number | "$" name | "(" sum ")"

Numbers only; a lone `$name` may also be a word. Results are bounded, so that no spec can ask for
a number of a million digits.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import TypeAlias

Number: TypeAlias = int | float
Word: TypeAlias = str | int | float | bool

MAX_LENGTH = 500
MAX_DEPTH = 40
LARGEST = 2**63

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|\$(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>//|[-+*/^()]))",
    re.ASCII,
)
_LONE = re.compile(r"\s*\$([A-Za-z_]\w*)\s*\Z", re.ASCII)
_NAMES = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)


ALLOWED = "numbers, `$vars`, + - * / // ^ and brackets only"
CHECK_VARS = "look at the vars that it names"


class ArithmeticProblem(ValueError):
    """Raised for text that is no arithmetic, or has no finite value.

    Attributes:
        offset: index of the character at which it goes wrong.
        hint: what to do.
    """

    def __init__(self, message: str, offset: int, hint: str = ALLOWED) -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


Lookup: TypeAlias = Callable[[str, int], Word]


def is_arithmetic(text: str) -> bool:
    """Return whether a scalar is arithmetic rather than a word."""
    return "$" in text


def mentions(text: str) -> tuple[tuple[str, int], ...]:
    """Return the vars that a text mentions, each with the offset of its `$`."""
    return tuple((found.group(1), found.start()) for found in _NAMES.finditer(text))


def evaluate(text: str, lookup: Lookup) -> Word:
    """Return the value of an arithmetic text.

    Args:
        text: what the author wrote.
        lookup: gives a var's value from its name and its offset in the text.

    Returns:
        A number (whole results are integers), or the word behind a lone `$name`.

    Raises:
        ArithmeticProblem: with the offset of the offending character.
    """
    lone = _LONE.match(text)
    if lone:
        return lookup(lone.group(1), lone.start(1) - 1)
    if len(text) > MAX_LENGTH:
        raise ArithmeticProblem(f"arithmetic of more than {MAX_LENGTH} characters", 0)
    return _whole(_Parser(text, lookup).run())


def _whole(value: Number) -> Number:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self.text = text
        self.lookup = lookup
        self.position = 0
        self.depth = 0

    def run(self) -> Number:
        value = self.sum()
        rest = self.text[self.position :]
        if rest.strip():
            offset = self.position + len(rest) - len(rest.lstrip())
            raise ArithmeticProblem(
                f"`{rest.strip()}` is not arithmetic",
                offset,
            )
        return value

    def sum(self) -> Number:
        value = self.product()
        while sign := self._take("+", "-"):
            value = self._apply(sign, value, self.product())
        return value

    def product(self) -> Number:
        value = self.sign()
        while sign := self._take("*", "/", "//"):
            value = self._apply(sign, value, self.sign())
        return value

    def sign(self) -> Number:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ArithmeticProblem("too many brackets or signs", self.position)
        if self._take("-"):
            value = -self.sign()
        elif self._take("+"):
            value = self.sign()
        else:
            value = self.power()
        self.depth -= 1
        return value

    def power(self) -> Number:
        value = self.atom()
        if sign := self._take("^"):
            return self._apply(sign, value, self.sign())
        return value

    def atom(self) -> Number:
        token = _TOKEN.match(self.text, self.position)
        if token is None or token.group("sign") not in (None, "("):
            raise self._missing_value()
        self.position = token.end()
        if token.group("number") is not None:
            return _literal(token.group("number"), token.start("number"))
        if token.group("name") is not None:
            return self._var(token.group("name"), token.start("name") - 1)
        value = self.sum()
        if not self._take(")"):
            raise ArithmeticProblem("a bracket is not closed", token.start("sign"))
        return value

    def _var(self, name: str, offset: int) -> Number:
        value = self.lookup(name, offset)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ArithmeticProblem(
                f"`${name}` is the word `{value}`, not a number",
                offset,
                hint="a word stands alone: `$name`",
            )
        return value

    def _take(self, *signs: str) -> str | None:
        token = _TOKEN.match(self.text, self.position)
        if token is None or token.group("sign") not in signs:
            return None
        self.position = token.end()
        return token.group("sign")

    def _missing_value(self) -> ArithmeticProblem:
        rest = self.text[self.position :].lstrip()
        offset = len(self.text) - len(rest)
        if not rest:
            return ArithmeticProblem(f"`{self.text.strip()}` ends where a number is due", offset)
        return ArithmeticProblem(f"`{rest}` stands where a number is due", offset)

    def _apply(self, sign: str, left: Number, right: Number) -> Number:
        try:
            value: Number | complex = _OPERATIONS[sign](left, right)
        except ZeroDivisionError:
            raise self._no_value("divides by zero") from None
        except OverflowError:
            value = math.inf
        if isinstance(value, complex) or math.isnan(value):
            raise self._no_value("is not a real number")
        if abs(value) > LARGEST:
            raise self._no_value("is too large")
        return value

    def _no_value(self, why: str) -> ArithmeticProblem:
        return ArithmeticProblem(f"`{self.text.strip()}` {why}", 0, CHECK_VARS)


def _literal(text: str, offset: int) -> Number:
    if text.isdigit() and len(text) < 20:
        return int(text)
    value = float(text)
    if abs(value) > LARGEST:
        raise ArithmeticProblem(f"`{text}` is too large", offset)
    return value


def _power(left: Number, right: Number) -> Number | complex:
    # Judge the size in floats first: 9^9^9 in whole numbers would never end.
    size: Number | complex = float(left) ** float(right)
    if isinstance(left, int) and isinstance(right, int) and right >= 0 and abs(size) <= LARGEST:
        return int(left**right)
    return size


_OPERATIONS: dict[str, Callable[[Number, Number], Number | complex]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "^": _power,
}
