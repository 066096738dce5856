"""`nestgraph explain`: what a code means, by example."""

from __future__ import annotations

from nestgraph.cli.saying import say
from nestgraph.codes import CODES
from nestgraph.error_examples import codes, explanation
from nestgraph.errors import InputError
from nestgraph.findings import did_you_mean


def explain_code(asked: str) -> None:
    """Print the page of a code, or its meaning where no spec can get it.

    Raises:
        InputError: there is no such code.
    """
    code = asked.upper()
    if code in codes():
        say(str(explanation(code)))
    elif code in CODES:
        say(f"{code}  {CODES[code]}")
    else:
        hint = did_you_mean(code, CODES) or "codes look like NG201"
        raise InputError("NG806", f"`{asked}` is no code of nestgraph", hint)
