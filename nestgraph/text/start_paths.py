"""Where the files lie that memories start as: `init: {kind: checkpoint, path: ...}`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nestgraph.analysis.parameters import start_origin
from nestgraph.errors import Span
from nestgraph.language.system import Init, Layer, Memory, System
from nestgraph.text.settings import seen_from


def start_paths(system: System) -> dict[Span, Path]:
    """Return the files that memories of a model start as, by the places that name them."""
    inits = [origin.init for _, _, origin in memories_of_files(system)]
    return {init.span: start_path(init) for init in inits if init.span is not None}


def memories_of_files(system: System) -> Iterator[tuple[Layer, Memory, Memory]]:
    """Yield each memory whose parameters start as a file says, and the one that names the file."""
    for layer in system.model.layers if system.model else ():
        for memory in layer.block.memories.values():
            origin = start_origin(layer.block, memory)
            if origin.init.kind == "checkpoint":
                yield layer, memory, origin


def start_path(init: Init) -> Path:
    """Return the file, seen from the spec that names it; from here where `--set` does."""
    assert init.path is not None
    file = None if init.span is None else seen_from(init.span)
    return Path(init.path) if file is None else Path(file).parent / init.path
