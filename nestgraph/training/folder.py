"""The folder of a run: the spec as written and as resolved, its picture, metrics, checkpoints."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.errors import InputError
from nestgraph.training import folder_sums
from nestgraph.training.files import replace_file, unwritable

if TYPE_CHECKING:
    from nestgraph.spec import Spec

RUNS = Path("runs")
SPEC = "spec.yaml"
RESOLVED = "resolved.yaml"
PICTURE = "levels.svg"
METRICS = "metrics.csv"
TIMES = "times.csv"
ENVIRONMENT = "environment.json"
HISTORY = "history.svg"
TOLD = (SPEC, RESOLVED, ENVIRONMENT)  # whose checksums a run always notes


def new_folder(name: str, wish: Path | None) -> Path:
    """Makes the folder of a new run: the one that is wished, or the next free runs/NAME-k.

    Raises:
        InputError: when the wished folder is in use, or can't be made.
    """
    if wish is None:
        return _next_free(name)
    try:
        wish.mkdir(parents=True, exist_ok=True)
        used = any(wish.iterdir())
    except OSError as error:
        raise unwritable(wish, error) from error
    if used:
        raise InputError(
            "NG722",
            f"`{wish}` is not empty, and a run overwrites nothing",
            "choose a new folder, or go on with the run in it by --resume",
        )
    return wish


def home_of(file: Path | None) -> Path | None:
    """The folder of the run that a checkpoint lies in, which goes on there; else None."""
    return file.parent if file is not None and is_run(file.parent) else None


def place_of(spec: Spec, file: Path | None, out: Path | None) -> Path:
    """The folder to write to: that of the resumed run, else a new one, with its spec inside.

    Raises:
        InputError: when a resumed run is to go elsewhere, the folder is in use, or is no longer as
            the run wrote it.
    """
    own = home_of(file)
    if own is not None and out is not None:
        raise InputError(
            "NG723", f"a resumed run goes on in its folder, not in `{out}`", "leave --out away"
        )
    if own is not None:
        folder_sums.require_intact(own, *TOLD)
    place = new_folder(spec.system.name, out) if own is None else own
    folder_sums.unseal(place)
    texts = write_spec(place, spec)
    write_environment(place)
    folder_sums.seal(place, [*texts, place / ENVIRONMENT])
    return place


def seal_tables(folder: Path) -> None:
    """Notes the checksums of tables that don't grow any more."""
    folder_sums.seal(folder, [folder / METRICS, folder / TIMES])


def write_spec(folder: Path, spec: Spec) -> list[Path]:
    """Keeps every source file as written, and the resolved spec; the files."""
    bases = [file for file in spec.sources if file != spec.path]
    texts = {SPEC: spec.sources[spec.path]}
    for number, file in enumerate(bases, start=1):
        texts[f"base-{number}-{Path(file).name}"] = spec.sources[file]
    texts[RESOLVED] = spec.resolved_yaml()
    for name, text in texts.items():
        replace_file(folder / name, text.encode())
    return [folder / name for name in texts]


def write_environment(folder: Path) -> None:
    """Keeps what the run ran on; that of a resumption stands behind those before."""
    from nestgraph.training.surroundings import surroundings

    path = folder / ENVIRONMENT
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    except ValueError:  # somebody's editor; the numbers of the run don't depend on it
        before = []
    known = before if isinstance(before, list) else []
    text = json.dumps([*known, surroundings()], indent=1, ensure_ascii=False) + "\n"
    replace_file(path, text.encode())


def is_run(folder: Path) -> bool:
    """Whether a folder was made by a run."""
    return (folder / RESOLVED).is_file()


def draw_levels(folder: Path, spec: Spec) -> str:
    """Draws the picture of the levels; its path, or why there is none."""
    from nestgraph.viz import DrawError, draw

    try:
        draw(spec, folder / PICTURE)
    except DrawError as error:
        return f"no picture: {error}"
    return str(folder / PICTURE)


def draw_level_history(folder: Path) -> str:
    """Draws which level moved when and how far; the picture's path, or why there is none."""
    from nestgraph.viz.history import draw_history

    try:
        replace_file(folder / HISTORY, draw_history(folder / METRICS).encode())
    except (OSError, ValueError) as error:
        return f"no picture: {error}"
    return str(folder / HISTORY)


def _next_free(name: str) -> Path:
    try:
        RUNS.mkdir(exist_ok=True)
        for number in itertools.count(1):
            folder = RUNS / f"{name}-{number}"
            if _make(folder):
                return folder
    except OSError as error:
        raise unwritable(RUNS, error) from error
    raise AssertionError("counting ended")


def _make(folder: Path) -> bool:
    """Makes a folder; false if somebody else has it already, even a moment ago."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True
