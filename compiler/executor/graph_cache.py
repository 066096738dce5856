"""What a streaming model keeps between two calls beside the state that it answers with.

A state is plain tensors: it can be saved, moved and changed. A graph is none. So the reading that
holds one stays with the model, and goes on only if the next call brings the very state that the
last one answered with, to the very same parameters; otherwise the tokens are run again, with the
same numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from nestgraph.compiler.executor.online_sequence import OnlineSequence
from nestgraph.compiler.executor.trees import tensors

Seen: TypeAlias = tuple[Tensor, int, int]  # a tensor, where it lies, how often it was written to


class _Place(NamedTuple):
    """A reading, all that it depends on, and the position in the state that it stands at."""

    reading: OnlineSequence
    seen: list[Seen]
    position: weakref.ref[Tensor]


class GraphCache:
    """The reading behind the last answer, for as long as somebody holds that answer's state.

    Copies of a model start without one.
    """

    def __init__(self) -> None:
        self._place: _Place | None = None

    def keep(
        self, reading: OnlineSequence, state: Mapping[str, Any], parameters: Iterable[Tensor]
    ) -> None:
        """Keep what stands where `state` does; in place of what was kept before."""
        me = weakref.ref(self)

        def gone(position: weakref.ref[Tensor]) -> None:
            held = me()
            if held is not None and held._place is not None and held._place.position is position:
                held._place = None

        seen = _seen(state, parameters)
        if seen is not None:
            self._place = _Place(reading, seen, weakref.ref(state["position"], gone))

    def take(self, state: Mapping[str, Any], parameters: Iterable[Tensor]) -> OnlineSequence | None:
        """Return the reading that goes on from a state, if it is here; it is handed out once."""
        place, self._place = self._place, None
        if place is None or place.position() is not state["position"]:
            return None
        now = _seen(state, parameters)
        return place.reading if now is not None and _same(now, place.seen) else None

    def __deepcopy__(self, memo: object) -> GraphCache:
        return GraphCache()

    def __reduce__(self) -> tuple[type[GraphCache], tuple[()]]:
        return GraphCache, ()


def _seen(state: Mapping[str, Any], parameters: Iterable[Tensor]) -> list[Seen] | None:
    """Return what a reading depends on; None if some of it does not count how often it is written
    to.
    """
    rest = {name: x for name, x in state.items() if name != "position"}
    seen = [*tensors(rest), *parameters]
    if any(x.is_inference() for x in seen):
        return None
    return [(x, x.data_ptr(), x._version) for x in seen]


def _same(now: list[Seen], then: list[Seen]) -> bool:
    return len(now) == len(then) and all(
        one[0] is other[0] and one[1:] == other[1:] for one, other in zip(now, then, strict=True)
    )
