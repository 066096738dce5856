"""`nestgraph draw`: the picture of a spec, in a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nestgraph.cli.opening import open_spec
from nestgraph.cli.saying import say
from nestgraph.errors import InputError

if TYPE_CHECKING:
    from nestgraph.viz.flows.views import ViewName


@dataclass(frozen=True, kw_only=True)
class Look:
    """What of a spec to draw, and how; fields as `nestgraph.viz.draw` takes them."""

    view: ViewName
    depth: int | None
    focus: str | None
    span: str | None
    theme: str


def draw_spec(path: str, out: Path, look: Look, changes: list[str]) -> None:
    """Write the picture in the format that the file's ending names."""
    from nestgraph.viz import DrawError, draw

    with open_spec(path, changes) as spec:
        try:
            draw(spec, out, **asdict(look))
        except DrawError as error:
            raise InputError("NG805", str(error)) from error
    say(f"Wrote {out}")
