"""`nestgraph diff`: two specs compared, with the exit statuses of diff(1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nestgraph.cli.opening import open_spec
from nestgraph.cli.saying import say
from nestgraph.comparison.changes import SIGNS, Diff, lines
from nestgraph.comparison.compare import compare
from nestgraph.errors import InputError

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

DIFFERENT = 1
COLOURS = {
    SIGNS["added"]: typer.colors.GREEN,
    SIGNS["removed"]: typer.colors.RED,
    SIGNS["changed"]: typer.colors.YELLOW,
}


def diff_specs(
    old: str, new: str, as_json: bool, changes: list[str], out: Path | None, theme: str
) -> None:
    """Print what differs, and draw it if asked to; end with status 1 if anything does.

    Args:
        old: a spec.
        new: another one, or the same with changes.
        as_json: for programs.
        changes: of the new one, as `--set` gave them.
        out: where the picture is written.
        theme: of the picture.
    """
    with open_spec(old, []) as before, open_spec(new, changes) as after:
        found = compare(before.system, after.system)
        if out is not None:
            _draw(before, after, out, theme)
    if as_json:
        say(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _echo(found)
    if found:
        raise typer.Exit(DIFFERENT)


def _draw(old: Spec, new: Spec, out: Path, theme: str) -> None:
    from nestgraph.viz import DrawError, draw_diff

    try:
        draw_diff(old, new, out, theme=theme)
    except DrawError as error:
        raise InputError("NG805", str(error)) from error
    say(f"Wrote {out}", err=True)  # what is printed may go to a program


def _echo(diff: Diff) -> None:
    for line in lines(diff):
        say(line, colour=COLOURS.get(line.strip()[:1]))
