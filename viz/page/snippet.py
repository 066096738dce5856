"""The lines of a file that say one thing."""

from __future__ import annotations

_MOST = 40  # lines


def snippet(text: str, line: int) -> str:
    """Return the line of a mapping's key and those indented below it, without what follows them."""
    lines = text.splitlines()
    if not 1 <= line <= len(lines):
        return ""
    first = lines[line - 1]
    margin = _indent(first)
    kept = [first]
    for following in lines[line:]:
        if following.strip() and _indent(following) <= margin:
            break
        kept.append(following)
    while kept and (not kept[-1].strip() or kept[-1].lstrip().startswith("#")):
        kept.pop()
    cut = [*kept[:_MOST], " " * margin + "..."] if len(kept) > _MOST else kept
    return "\n".join(one[margin:] for one in cut)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
