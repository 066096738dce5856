"""Loops of a directed graph given as `needs[name]`, the names that `name` depends on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

Needs = Mapping[str, Sequence[str]]

MOST_STARTS = 100  # of one tangle that are tried for its shortest loop


def components(needs: Needs) -> list[list[str]]:
    """Return strongly connected components that hold a loop, in the order of the graph.

    Tarjan's algorithm with a stack of its own, since chains may be longer than Python's.
    """
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: dict[str, None] = {}  # visited and not yet in a component; in order
    for root in needs:
        if root in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [_enter(root, needs, index, low, path)]
        while work:
            name, wants = work[-1]
            want = next(wants, None)
            if want is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    found.append(_leave(name, path))
            elif want not in index:
                work.append(_enter(want, needs, index, low, path))
            elif want in path:
                low[name] = min(low[name], index[want])
    order = {name: place for place, name in enumerate(needs)}
    for component in found:
        component.sort(key=lambda name: order.get(name, len(order)))
    loops = [c for c in found if len(c) > 1 or c[0] in needs.get(c[0], ())]
    return sorted(loops, key=lambda c: order[c[0]])


def _enter(
    name: str, needs: Needs, index: dict[str, int], low: dict[str, int], path: dict[str, None]
) -> tuple[str, Iterator[str]]:
    index[name] = low[name] = len(index)
    path[name] = None
    return name, iter(needs.get(name, ()))


def _leave(root: str, path: dict[str, None]) -> list[str]:
    component: list[str] = []
    while not component or component[-1] != root:
        component.append(path.popitem()[0])
    return component


def shortest_loop(needs: Needs, component: Sequence[str]) -> list[str]:
    """Return a shortest loop of a strongly connected component: each name needs the next one."""
    inside = set(component)
    loops = (_loop_from(needs, start, inside) for start in component[:MOST_STARTS])
    return min(loops, key=len)


def _loop_from(needs: Needs, start: str, inside: set[str]) -> list[str]:
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        name = queue.popleft()
        for want in needs.get(name, ()):
            if want == start:
                return _trace(came_from, start, name)
            if want in inside and want not in came_from:
                came_from[want] = name
                queue.append(want)
    return [start]


def _trace(came_from: Mapping[str, str], start: str, last: str) -> list[str]:
    chain = [last]
    while chain[-1] != start:
        chain.append(came_from[chain[-1]])
    return chain[::-1]
