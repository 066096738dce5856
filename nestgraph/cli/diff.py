"""`nestgraph diff`: two specs compared, with the exit statuses of diff(1)."""

from __future__ import annotations

import json

import typer

from nestgraph.changes import SIGNS, Diff, lines
from nestgraph.cli.opening import open_spec
from nestgraph.compare import compare

DIFFERENT = 1
COLOURS = {
    SIGNS["added"]: typer.colors.GREEN,
    SIGNS["removed"]: typer.colors.RED,
    SIGNS["changed"]: typer.colors.YELLOW,
}


def diff_specs(old: str, new: str, as_json: bool, changes: list[str]) -> None:
    """Prints what differs; ends with status 1 if anything does.

    Args:
        old: a spec.
        new: another one, or the same with changes.
        as_json: for programs.
        changes: of the new one, as `--set` gave them.
    """
    with open_spec(old, []) as before, open_spec(new, changes) as after:
        found = compare(before.system, after.system)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _echo(found)
    if found:
        raise typer.Exit(DIFFERENT)


def _echo(diff: Diff) -> None:
    for line in lines(diff):
        typer.secho(line, fg=COLOURS.get(line.strip()[:1]))
