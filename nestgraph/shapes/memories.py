"""Widths of a memory's keys, values and coefficients, and what they must agree on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nestgraph.errors import Diagnostic
from nestgraph.language.system import Coefficient, Memory
from nestgraph.shapes.flows import Reads, coefficients, key_side, spot, value_side
from nestgraph.shapes.mismatch import Mismatch, indivisible


def memory_mismatches(
    memory: Memory, reads: Reads, widths: Mapping[str, int]
) -> Iterator[Diagnostic]:
    """Yield everything that doesn't fit in one memory whose own widths have been inferred."""
    yield from _sides(memory, reads, widths)
    yield from _heads(memory)
    yield from _residual(memory)
    for field, coefficient in coefficients(memory):
        yield from _coefficient(memory, field, coefficient, widths)
    yield from _erase_key(memory, widths)
    yield from _reduce(memory, widths)


def _sides(memory: Memory, reads: Reads, widths: Mapping[str, int]) -> Iterator[Diagnostic]:
    for flows, width in (
        (key_side(memory, reads), memory.key_width),
        (value_side(memory), memory.value_width),
    ):
        for role, flow, span in flows:
            if width is not None and widths.get(flow, width) != width:
                yield _differs(memory, role, flow, widths[flow], width).at(span)


def _differs(memory: Memory, role: str, flow: str, got: int, width: int) -> Mismatch:
    if role == "values":
        said = f"`net.out` of `{memory.name}` is" if memory.net.out else "its values are"
        return Mismatch(
            code="NG225",
            field=role,
            message=f"`{flow}`, a value of `{memory.name}`, has width {got}, but {said} {width}",
            hint="give the values of a memory one width",
        )
    return Mismatch(
        code="NG225",
        field=role,
        message=f"`{role}: {flow}` has width {got}, but the keys of `{memory.name}` have {width}",
        hint="keys and queries of one memory need one width",
    )


def _heads(memory: Memory) -> Iterator[Diagnostic]:
    sides = {"keys": memory.key_width, "values": memory.value_width}
    if memory.key_width == memory.value_width:
        del sides["values"]
    for side, width in sides.items():
        if width is not None and width % memory.heads:
            what = f"`{side}` of `{memory.name}`"
            yield indivisible("heads", what, width, memory.heads).at(spot(memory, "heads"))


def _residual(memory: Memory) -> Iterator[Diagnostic]:
    widths = (memory.key_width, memory.value_width)
    if not memory.net.residual or None in widths or widths[0] == widths[1]:
        return
    yield Mismatch(
        code="NG223",
        field="net",
        message="`residual` needs keys and values of one width "
        f"(`{memory.name}` has {widths[0]} and {widths[1]})",
        hint="make the widths equal, or drop `residual`",
    ).at(memory.net.span or spot(memory, "net"))


def _coefficient(
    memory: Memory, field: str, coefficient: Coefficient, widths: Mapping[str, int]
) -> Iterator[Diagnostic]:
    span = coefficient.span or spot(memory, field)
    short = field.removeprefix("rule.").removeprefix("objective.")
    numbers = coefficient.numbers
    if numbers is not None and len(numbers) != memory.heads:
        yield Mismatch(
            code="NG221",
            field=field,
            message=f"`{short}` lists {len(numbers)} numbers; "
            f"`{memory.name}` has {memory.heads} heads",
            hint="give one number a head, or a single number",
        ).at(span)
    flow = coefficient.flow
    if flow is None or flow not in widths:
        return
    allowed = _allowed(memory, coefficient)
    if allowed and widths[flow] not in allowed:
        yield _wide(memory, short, coefficient, widths[flow], allowed).at(span)


def _allowed(memory: Memory, coefficient: Coefficient) -> tuple[int, ...]:
    """Return widths that a coefficient's flow may have; none where the memory's own are unknown."""
    key, value = memory.key_width, memory.value_width
    match coefficient.per:
        case "head":
            return tuple(dict.fromkeys((1, memory.heads)))
        case "value":
            return () if value is None else (value,)
        case "key":
            return () if key is None else (key,)
        case "cell":
            return () if key is None or value is None else (key * value // memory.heads,)


def _wide(
    memory: Memory, short: str, coefficient: Coefficient, width: int, allowed: tuple[int, ...]
) -> Mismatch:
    give = " or ".join(str(a) for a in allowed)
    flow = coefficient.flow
    if coefficient.per == "head":
        heads = "1 head" if memory.heads == 1 else f"{memory.heads} heads"
        need = f"`{memory.name}` has {heads}"
        other = f", or `{{flow: {flow}, per: value}}`" if width == memory.value_width else ""
    else:
        need = f"`per: {coefficient.per}` of `{memory.name}` means {give}"
        other = ""
    return Mismatch(
        code="NG221",
        field=short,
        message=f"`{short}: {flow}` has width {width}; {need}",
        hint=f"give {give}{other}",
    )


def _erase_key(memory: Memory, widths: Mapping[str, int]) -> Iterator[Diagnostic]:
    key = memory.rule.erase.key
    width = widths.get(key) if key else None
    if width is None or memory.key_width in (None, width):
        return
    yield Mismatch(
        code="NG225",
        field="rule.erase",
        message=f"`erase.key: {key}` has width {width}, "
        f"but the keys of `{memory.name}` have {memory.key_width}",
        hint="an erase key needs the width of the keys",
    ).at(memory.rule.erase.span or spot(memory, "rule.erase"))


def _reduce(memory: Memory, widths: Mapping[str, int]) -> Iterator[Diagnostic]:
    rule = memory.rule
    width = widths.get(rule.reduce) if rule.reduce_is_flow else None
    if width is None or width in (1, memory.heads):
        return
    yield Mismatch(
        code="NG221",
        field="rule.reduce",
        message=f"`reduce: {rule.reduce}` has width {width}; "
        f"`{memory.name}` has {memory.heads} heads",
        hint=f"give 1 or {memory.heads}",
    ).at(spot(memory, "rule.reduce"))
