"""Numbers that float32, in which specs run, can't hold: they would become 0 or infinite.

What a number is for doesn't matter, nor whether it is written, a var's or the result of
arithmetic: a spec of numbers that can't be computed with is refused where they stand.
"""

from __future__ import annotations

import math

from nestgraph.findings import Findings
from nestgraph.recovery.fixes import Put, either
from nestgraph.text.tree import BROKEN, Entry, Items, Scalar, Table, Tree

LARGEST = (2 - 2**-23) * 2.0**127
SMALLEST = 2.0**-149  # half of it rounds to 0

Path = tuple[str | int, ...]


def in_range(tree: Tree, where: str, findings: Findings, path: Path = ()) -> Tree:
    """Return the tree with a broken scalar, which has its finding, for every number out of range.

    Args:
        tree: what the author wrote, vars already replaced.
        where: what the tree is, for messages ("memory `M`").
        findings: receives every problem.
        path: of the tree within `where`.
    """
    if isinstance(tree, Table):
        entries = {
            key: Entry(entry.key, in_range(entry.value, where, findings, (*path, key)))
            for key, entry in tree.entries.items()
        }
        same = all(entries[key].value is tree.entries[key].value for key in entries)
        return tree if same else Table(entries, tree.span)
    if isinstance(tree, Items):
        items = tuple(
            in_range(item, where, findings, (*path, place)) for place, item in enumerate(tree.items)
        )
        same = all(new is old for new, old in zip(items, tree.items, strict=True))
        return tree if same else Items(items, tree.span)
    wanted = _wanted(tree.value)
    if wanted is None:
        return tree
    dotted = ".".join(str(part) for part in path)
    name = f"`{dotted}` of {where}" if path else where
    hint = "numbers are float32 when a spec runs"
    findings.wrong(name, tree, wanted, hint, either([Put(tree.span, 1)]))
    return Scalar(BROKEN, tree.span, tree.text)


def _wanted(value: object) -> str | None:
    """Return what is expected in place of a number that is out of range; None where it is
    within.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value):
        return None  # no number at all, which the schema refuses
    if abs(value) > LARGEST:
        return f"at most {LARGEST:.3g} in size"
    return f"0, or at least {SMALLEST:.2g} in size" if 0 < abs(value) <= SMALLEST / 2 else None
