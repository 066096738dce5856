"""The folder of a run: the spec as written and as resolved, its picture, metrics, checkpoints."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.errors import InputError
from nestgraph.language.kept_texts import OVERRIDES, RESOLVED, SPEC
from nestgraph.training import folder_sums
from nestgraph.training.files import replace_file, unwritable
from nestgraph.training.lock import RUN_LOCK, sole_writer

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

RUNS = Path("runs")
PICTURE = "levels.svg"
METRICS = "metrics.csv"
TIMES = "times.csv"
ENVIRONMENT = "environment.json"
HISTORY = "history.svg"
TOLD = (SPEC, RESOLVED, ENVIRONMENT)  # whose checksums a run always notes
# What a run writes before its first save, whole or as drafts.
_TEXTS = (SPEC, r"base-\d+-.*", r"start-\d+\..*", OVERRIDES, RESOLVED)
_FIRST = (*_TEXTS, PICTURE, ENVIRONMENT, folder_sums.SUMS)
_BEGUN = re.compile("|".join([*_FIRST, r"\..+\.\d+\.part", "tensorboard"]))


def new_folder(name: str, wish: Path | None, held: contextlib.ExitStack) -> Path:
    """Make the folder of a new run: the one that is wished, or the next free runs/NAME-k.

    What a run has left that ended before its first save is taken away: it is begun once more.

    Args:
        name: of the spec.
        wish: the folder, if one is wished.
        held: lets go of the folder, which nobody else writes to until then.

    Raises:
        InputError: when the wished folder is in use, or can't be made.
    """
    folder = _next_free(name) if wish is None else _made(wish)
    held.enter_context(sole_writer(folder))
    try:
        left = [path for path in folder.iterdir() if path.name != RUN_LOCK]
        if left and not _only_begun(left):
            raise _used(folder)
        for path in sorted(left, key=_tells_of_run):  # what tells of it goes last
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def saved_nothing(folder: Path) -> bool:
    """Return whether a run began there and ended before its first save, or is about to make it."""
    try:
        return _only_begun([path for path in folder.iterdir() if path.name != RUN_LOCK])
    except OSError:
        return False


def _only_begun(paths: list[Path]) -> bool:
    """Return whether all of them are what a run writes before its first save."""
    known = all(_BEGUN.fullmatch(path.name) for path in paths)
    return known and any(map(_tells_of_run, paths))


def _tells_of_run(path: Path) -> bool:
    """Return whether a file is what no one but a run writes, and writes first."""
    return path.name.lstrip(".").startswith(ENVIRONMENT)


def _used(folder: Path) -> InputError:
    hint = "choose a new folder"
    if any(folder.glob("*.ckpt")):
        hint += ", or go on with the run in it by --resume"
    return InputError("NG722", f"`{folder}` is not empty, and a run overwrites nothing", hint)


def _made(wish: Path) -> Path:
    try:
        wish.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        hint = "a run is kept in a folder; choose another name"
        raise InputError("NG722", f"`{wish}` is a file", hint) from error
    except OSError as error:
        raise unwritable(wish, error) from error
    return wish


def home_of(file: Path | None) -> Path | None:
    """Return the folder of the run that a checkpoint lies in, which goes on there; else None."""
    return file.parent if file is not None and is_run(file.parent) else None


def hold_home(file: Path | None, held: contextlib.ExitStack) -> None:
    """Keep all others from writing to the folder of a run that is to go on there.

    Raises:
        InputError: when another process writes to it.
    """
    home = home_of(file)
    if home is not None:
        held.enter_context(sole_writer(home))


def place_of(spec: Spec, file: Path | None, out: Path | None, held: contextlib.ExitStack) -> Path:
    """Return the folder to write to: that of the resumed run, else a new one, with its spec inside.

    Args:
        spec: what is trained.
        file: the checkpoint that is gone on from, whose folder is held already.
        out: the folder that is wished for a new run.
        held: lets go of a new folder, which nobody else writes to until then.

    Raises:
        InputError: when a resumed run is to go elsewhere, the folder is in use, or is no longer as
            the run wrote it.
    """
    from nestgraph.training.kept_files import keep_spec  # which imports PyTorch

    own = home_of(file)
    if own is not None and out is not None:
        raise InputError(
            "NG723", f"a resumed run goes on in its folder, not in `{out}`", "leave --out away"
        )
    if own is not None:
        folder_sums.require_intact(own, *TOLD)
    place = new_folder(spec.system.name, out, held) if own is None else own
    folder_sums.unseal(place)
    write_environment(place)  # first: it tells a run that was begun from anybody's files
    texts = keep_spec(place, spec, begun=file is not None)
    folder_sums.seal(place, [*texts, place / ENVIRONMENT])
    return place


def seal_tables(folder: Path) -> None:
    """Note the checksums of tables that don't grow any more."""
    folder_sums.seal(folder, [folder / METRICS, folder / TIMES])


def write_environment(folder: Path) -> None:
    """Keep what the run ran on; that of a resumption stands behind those before."""
    from nestgraph.training.environment import surroundings

    path = folder / ENVIRONMENT
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    except ValueError:  # somebody's editor; the numbers of the run don't depend on it
        before = []
    known = before if isinstance(before, list) else []
    text = json.dumps([*known, surroundings()], indent=1, ensure_ascii=False) + "\n"
    replace_file(path, text.encode())


def is_run(folder: Path) -> bool:
    """Return whether a folder was made by a run."""
    return (folder / RESOLVED).is_file()


def draw_levels(folder: Path, spec: Spec) -> str:
    """Draw the picture of the levels; its path, or why there is none."""
    from nestgraph.viz import DrawError, draw

    try:
        draw(spec, folder / PICTURE)
    except DrawError as error:
        return f"no picture: {error}"
    return str(folder / PICTURE)


def draw_level_history(folder: Path) -> str:
    """Draw which level moved when and how far; the picture's path, or why there is none."""
    from nestgraph.viz.live.history import draw_history

    try:
        replace_file(folder / HISTORY, draw_history(folder / METRICS).encode())
    except (OSError, ValueError) as error:
        return f"no picture: {error}"
    return str(folder / HISTORY)


def _next_free(name: str) -> Path:
    folder = RUNS
    try:
        RUNS.mkdir(exist_ok=True)
        for number in itertools.count(1):
            folder = RUNS / f"{name}-{number}"
            if _make(folder):
                return folder
    except OSError as error:
        raise unwritable(folder, error) from error
    raise AssertionError("counting ended")


def _make(folder: Path) -> bool:
    """Make a folder; false if somebody else has it already, even a moment ago."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True
