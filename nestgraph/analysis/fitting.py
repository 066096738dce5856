"""Whether the groups of an optimizer can move the parameters that they take.

Checks, which never see a tensor, and compiled optimizers ask here, so that what `check` passes
starts to train.
"""

from __future__ import annotations

from collections.abc import Sequence

from nestgraph.analysis.optimizer_flows import matrix_parts
from nestgraph.language.groups import Rule, Traits
from nestgraph.language.system import Memory

INPUT = "input"
NO_GROUP = "add a last group `{for: rest, spec: adamw}`"
HINTS = {
    "NG343": "let it take `hidden_matrices`, and give the `rest` another optimizer",
    "NG344": "let it take `linear_maps`, and give the `rest` another optimizer",
}


def misfit(rule: Rule, traits: Traits) -> str | None:
    """Return the code of what keeps a rule from moving a parameter that it takes; None if
    nothing.
    """
    if (traits.sort == "vectors" or traits.axes < 2) and matrix_parts(rule.block):
        return "NG343"
    if INPUT in rule.block.inputs and not traits.linear_map:
        return "NG344"
    return None


def told(code: str, rule: Rule, names: Sequence[str] = ()) -> str:
    """Return what is wrong, in a sentence.

    Args:
        code: as `misfit` gave it.
        rule: that misfits.
        names: of the parameters, where they are known.
    """
    kind, pattern = rule.tests[-1]
    group, block = f"`for: {pattern or kind}`", rule.block.name
    which = f" ({some(names)})" if names else ""
    if code == "NG344":
        return (
            f"{group} takes parameters that are no linear maps{which}, but `{block}` asks for"
            f" their `{INPUT}`"
        )
    part = matrix_parts(rule.block)[0]
    what = "memory" if isinstance(part, Memory) else "op"
    return (
        f"{group} takes vectors{which}, but the {what} `{part.name}` of `{block}` works on matrices"
    )


def some(names: Sequence[str]) -> str:
    """Return the first name, and how many more there are."""
    more = len(names) - 1
    return f"`{names[0]}`" + (f" and {more} more" if more else "")
