"""One way in which widths don't fit, before it is tied to a place in the file."""

from __future__ import annotations

from dataclasses import dataclass

from nestgraph.errors import Diagnostic, Span


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """What doesn't fit; `field` is the offending field of the node or memory."""

    code: str
    field: str
    message: str
    hint: str

    def at(self, span: Span | None) -> Diagnostic:
        """Return the mismatch as a finding at a place."""
        return Diagnostic(code=self.code, message=self.message, hint=self.hint, span=span)


def indivisible(field: str, what: str, width: int, heads: int) -> Mismatch:
    """Return `heads` doesn't divide the width of `what`."""
    return Mismatch(
        code="NG222",
        field=field,
        message=f"{what} has width {width}, which {heads} heads don't divide",
        hint=f"give `heads` a divisor of {width}, or a width that is a multiple of {heads}",
    )
