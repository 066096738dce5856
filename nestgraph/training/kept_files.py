"""What a run keeps of its spec: every text and file that it names, under names of the folder.

The spec of a run opens, and is extended, from the folder alone, wherever that is moved to.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.errors import InputError, Span
from nestgraph.language.kept_texts import data_path, kept_texts
from nestgraph.runtime.tensor_files import file_of
from nestgraph.text.start_paths import start_paths
from nestgraph.training.files import replace_file, unwritable

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec


def keep_spec(folder: Path, spec: Spec, *, begun: bool) -> list[Path]:
    """Keep every source file as written but for the names of files, and the resolved spec.

    Args:
        folder: of the run.
        spec: which it trains.
        begun: whether the run goes on from a checkpoint: the files that its memories started as
            are those that it kept, if any.

    Returns:
        The files of the folder.

    Raises:
        InputError: the folder can't be written to.
    """
    starts = dict(_kept_starts(folder, spec, begun=begun))
    texts = kept_texts(spec, {**starts, **_learned_text(spec)})
    for name, text in texts.items():
        replace_file(folder / name, text.encode())
    return [folder / name for name in (*texts, *dict.fromkeys(starts.values()))]


def _kept_starts(folder: Path, spec: Spec, *, begun: bool) -> Iterator[tuple[Span, str]]:
    """Yield names of the copies of files that memories start as, by the places that name those."""
    files = start_paths(spec.system)
    kept: dict[Path, str | None] = {}
    for number, path in enumerate(dict.fromkeys(files.values()), start=1):
        there = sorted(folder.glob(f"start-{number}.*"))
        kept[path] = there[0].name if there else None
        if not there and not begun:
            kept[path] = _copied(path, folder, f"start-{number}")
    for place, path in files.items():
        if (name := kept[path]) is not None:
            yield place, name


def _copied(path: Path, folder: Path, stem: str) -> str | None:
    """Return the copy of a file of tensors; None where other weights stand in for one that is
    gone.
    """
    try:
        file = file_of(path)
    except InputError:
        return None
    _copy(file, folder / f"{stem}{file.suffix}")
    return f"{stem}{file.suffix}"


def _copy(file: Path, to: Path) -> None:
    """Copy a file of any size, whole or not at all."""
    try:
        with (
            file.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as content,
        ):
            replace_file(to, content)
    except (OSError, ValueError) as error:
        cause = error if isinstance(error, OSError) else OSError(str(error))
        raise unwritable(to, cause) from error


def _learned_text(spec: Spec) -> dict[Span, str]:
    """Return the text that the spec itself names, as a path that is good everywhere."""
    return {place: str(path.resolve()) for place, path in data_path(spec).items() if path.exists()}
