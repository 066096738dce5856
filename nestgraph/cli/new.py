"""`nestgraph new`: a spec of one's own that starts from another one."""

from __future__ import annotations

from nestgraph.cli.opening import open_spec
from nestgraph.cli.saying import say
from nestgraph.errors import InputError
from nestgraph.language.authoring import copied, extending, target
from nestgraph.language.spec import load
from nestgraph.runtime.drafts import write_new
from nestgraph.training.files import unwritable


def new_spec(name: str, start: str, copy: bool) -> None:
    """Write the file and say what to do with it.

    Raises:
        InputError: the name can't be one, the file is there or can't be written.
    """
    path = target(name)
    with open_spec(start, []) as base:
        text = (copied if copy else extending)(path, base, start)
        model = base.system.model is not None
    try:
        write_new(path, text.encode())  # whoever was faster keeps his file
    except FileExistsError:
        raise InputError("NG808", f"`{path}` is there, and `new` overwrites nothing") from None
    except OSError as error:
        raise unwritable(path, error) from error
    load(path)
    how = "a copy of" if copy else "which extends"
    say(f"Wrote {path}, {how} {start}")
    verbs = [("look", f"show {path}"), ("draw", f"draw {path} -o {path.with_suffix('.svg')}")]
    verbs += [("compare", f"diff {start} {path}"), ("check", f"check {path}")]
    verbs += [("train", f"train {path}")] if model else []
    for verb, command in verbs:
        say(f"  {verb:<8} nestgraph {command}")
