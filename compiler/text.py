"""The IR as text, and back: `parse_program(print_program(p)) == p`.

    program "hope" vocab=256 width=128 norm="rms_norm" tie_head=true
    clock context = 8 tokens
    function f0(%x: 128) for "0.hope", "1.hope"
      %a.u = rms_norm(%x) {heads=1, owner="a.u"} : 128
      ...
      return %out

Spans are not part of the text. Attributes are sorted, so that equal programs print equally.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import cast

from nestgraph.compiler.ir import Attr, Function, Op, Program
from nestgraph.language.system import Clock, Unit

_VALUE = r"%[\w.#-]+"
_PROGRAM = re.compile(r"program (?P<name>\"(?:[^\"\\]|\\.)*\") (?P<attrs>.*)")
_CLOCK = re.compile(
    r"clock (?P<name>\S+) = (?:(?P<period>\d+) (?P<unit>tokens|steps)|(?P<never>never))"
)
_FUNCTION = re.compile(
    r"function (?P<name>\w+)\((?P<input>%\S+): (?P<width>\d+)\) for (?P<paths>.*)"
)
_OP = re.compile(
    rf"(?P<name>{_VALUE}) = (?P<kind>[\w-]+)\((?P<inputs>[^)]*)\)"
    r"(?: \{(?P<attrs>.*)\})?(?: : (?P<width>\d+))?"
)
_RETURN = re.compile(rf"return (?P<name>{_VALUE})")
_ATTR = re.compile(r"(?P<key>\w+)=")


class IRSyntaxError(ValueError):
    """Raised when text is no IR; the message names the line."""


def print_program(program: Program) -> str:
    """Return the program as text, one op a line."""
    return "\n".join([*_head(program), *(print_function(f) for f in program.functions)]) + "\n"


def print_function(function: Function) -> str:
    """Return one function as text."""
    paths = ", ".join(_attr(path) for path in function.paths)
    head = f"function {function.name}(%{function.input}: {function.width}) for {paths}"
    body = [f"  {print_op(op)}" for op in function.ops]
    return "\n".join([head, *body, f"  return %{function.output}"])


def print_op(op: Op) -> str:
    """Return one op as a line."""
    inputs = ", ".join(f"%{name}" for name in op.inputs)
    attrs = ", ".join(f"{key}={_attr(op.attrs[key])}" for key in sorted(op.attrs))
    braces = f" {{{attrs}}}" if attrs else ""
    width = f" : {op.width}" if op.width is not None else ""
    return f"%{op.name} = {op.kind}({inputs}){braces}{width}"


def parse_program(text: str) -> Program:
    """Return the program that `text` spells.

    Raises:
        IRSyntaxError: a line is not IR.
    """
    lines = [line.strip() for line in text.split("\n")]
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line]
    if not numbered:
        raise IRSyntaxError("line 1: expected `program`, got an empty text")
    number, first = numbered[0]
    head = _match(_PROGRAM, first, number, "program")
    attrs = _parse_attrs(head["attrs"].replace(" ", ", "), number)
    clocks = [_parse_clock(line, n) for n, line in numbered[1:] if line.startswith("clock ")]
    rest = [(n, line) for n, line in numbered[1:] if not line.startswith("clock ")]
    return Program(
        name=str(json.loads(head["name"])),
        vocab=cast(int, attrs["vocab"]),
        width=cast(int, attrs["width"]),
        norm=cast("str | None", attrs["norm"]),
        tie_head=bool(attrs["tie_head"]),
        classes=cast(int, attrs.get("classes", attrs["vocab"])),
        horizon=cast(int, attrs.get("horizon", 0)),
        clocks=tuple(clocks),
        functions=tuple(_parse_functions(rest)),
    )


def _head(program: Program) -> Iterator[str]:
    norm, tie = _attr(program.norm), _attr(program.tie_head)
    size = f"vocab={program.vocab} width={program.width}"
    horizon = f" horizon={program.horizon}" if program.horizon else ""
    classes = f" classes={program.classes}" if program.classes != program.vocab else ""
    yield f"program {_attr(program.name)} {size} norm={norm} tie_head={tie}{classes}{horizon}"
    for clock in program.clocks:
        period = "never" if clock.unit == "never" else f"{clock.period} {clock.unit}"
        yield f"clock {clock.name} = {period}"


def _attr(value: Attr) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return "[" + ", ".join(_attr(item) for item in value) + "]"
    return repr(value)


_WORDS: dict[str, Attr] = {"true": True, "false": False, "none": None}


def _parse_attrs(text: str, number: int) -> dict[str, Attr]:
    attrs: dict[str, Attr] = {}
    rest = text.strip()
    while rest:
        key = _match(_ATTR, rest, number, "key=value", full=False)
        value, rest = _parse_value(rest[key.end() :], number)
        attrs[key["key"]] = value
        rest = rest.removeprefix(",").strip()
    return attrs


def _parse_value(text: str, number: int) -> tuple[Attr, str]:
    """Return the value at the head of `text`, and what follows it."""
    if text.startswith("["):
        items: list[Attr] = []
        rest = text[1:].lstrip()
        while not rest.startswith("]"):
            item, rest = _parse_value(rest, number)
            items.append(item)
            rest = rest.removeprefix(",").lstrip()
        return tuple(items), rest[1:].lstrip()
    if text.startswith('"'):
        found = re.match(r'"(?:[^"\\]|\\.)*"', text)
        if found is None:
            raise IRSyntaxError(f"line {number}: a text is not closed: {text}")
        return str(json.loads(found[0])), text[found.end() :].lstrip()
    found = re.match(r"[\w.+-]+", text)
    if found is None:
        raise IRSyntaxError(f"line {number}: expected a value, got: {text or 'nothing'}")
    return _scalar(found[0], number), text[found.end() :].lstrip()


def _scalar(word: str, number: int) -> Attr:
    if word in _WORDS:
        return _WORDS[word]
    try:
        return int(word)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        raise IRSyntaxError(f"line {number}: `{word}` is no value") from None


def _parse_clock(line: str, number: int) -> Clock:
    found = _match(_CLOCK, line, number, "clock NAME = N tokens")
    if found["never"]:
        return Clock(name=found["name"], unit="never", period=0)
    return Clock(name=found["name"], unit=cast(Unit, found["unit"]), period=int(found["period"]))


def _parse_functions(lines: list[tuple[int, str]]) -> Iterator[Function]:
    index = 0
    while index < len(lines):
        number, line = lines[index]
        head = _match(_FUNCTION, line, number, "function")
        ops: list[Op] = []
        index += 1
        while index < len(lines) and not lines[index][1].startswith("return "):
            ops.append(_parse_op(*lines[index]))
            index += 1
        if index == len(lines):
            raise IRSyntaxError(f"line {number}: function {head['name']} has no return")
        output = _match(_RETURN, lines[index][1], lines[index][0], "return %value")["name"][1:]
        index += 1
        yield Function(
            name=head["name"],
            paths=tuple(str(json.loads(p)) for p in _split_paths(head["paths"])),
            input=head["input"][1:],
            width=int(head["width"]),
            ops=tuple(ops),
            output=output,
        )


def _split_paths(text: str) -> list[str]:
    return re.findall(r'"(?:[^"\\]|\\.)*"', text)


def _parse_op(number: int, line: str) -> Op:
    found = _match(_OP, line, number, "%value = kind(%input, ...)")
    inputs = tuple(name.strip()[1:] for name in found["inputs"].split(",") if name.strip())
    return Op(
        name=found["name"][1:],
        kind=found["kind"],
        inputs=inputs,
        attrs=_parse_attrs(found["attrs"] or "", number),
        width=int(found["width"]) if found["width"] else None,
    )


def _match(
    pattern: re.Pattern[str], line: str, number: int, expected: str, *, full: bool = True
) -> re.Match[str]:
    found = pattern.fullmatch(line) if full else pattern.match(line)
    if found is None:
        raise IRSyntaxError(f"line {number}: expected `{expected}`, got: {line}")
    return found
