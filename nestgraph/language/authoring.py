"""The text of a new spec that starts from another one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from nestgraph.errors import InputError
from nestgraph.language import zoo
from nestgraph.language.kept_texts import data_path
from nestgraph.language.spec import Spec
from nestgraph.schema.file import NAME
from nestgraph.text.kept import Names, renamed_text
from nestgraph.text.start_paths import start_paths

SCHEMA = "schema.json"


def target(name: str) -> Path:
    """Return the file of a new spec: `mine`, `mine.yaml` or `folder/mine`.

    Raises:
        InputError: when that is no name for a spec or a shipped one's, or the file is there.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else Path(f"{name}.yaml")
    if not re.match(NAME, path.stem):
        hint = "use letters, digits and `.`, `_`, `+`, `-`, with a letter or digit first"
        raise InputError("NG808", f"`{path.stem}` can't be the name of a spec", hint)
    if zoo.path(path.stem) is not None:
        message = f"`{path.stem}` is the name of a shipped spec, which this one would hide"
        raise InputError("NG808", message, f"choose another, such as `my-{path.stem}`")
    if path.exists() or path.is_symlink():
        hint = "choose another name, or delete it"
        raise InputError("NG808", f"`{path}` is there, and `new` overwrites nothing", hint)
    return path


def extending(path: Path, base: Spec, asked: str) -> str:
    """Return a spec that says only what differs from `base`; the base's vars stand ready as
    comments.

    Args:
        path: of the new file.
        base: what it starts from.
        asked: how the author named that.
    """
    shipped = asked in zoo.names() and not Path(asked).is_file()
    origin = asked if shipped else _relative(Path(base.path), path.parent)
    variables = [f"#   {field.name}: {_scalar(field.value)}" for field in base.variables()]
    offered = ["# vars:                  # those of the base; take the # away to change one"]
    lines = [
        *_head(path, f"What differs from `{asked}`; `nestgraph show {path}` prints all of it."),
        "nestgraph: 1",
        f"name: {path.stem}",
        f"extends: {_scalar(origin)}",
        *([*offered, *variables] if variables else []),
    ]
    return "\n".join(lines) + "\n"


def copied(path: Path, base: Spec, asked: str) -> str:
    """Return a spec that says everything: the base's own text, or its resolved one if that
    extends.
    """
    names = names_seen_from(path.parent, base)
    text = renamed_text(base.sources[base.path], base.path, names)
    named = _renamed(text, path.stem)
    if named is None or re.search(r"^extends\s*:", text, re.MULTILINE) or base.overrides:
        named = _renamed(base.resolved_yaml(names), path.stem)
    assert named is not None, "a resolved spec has a line with its name"
    body = re.sub(r"\A(#.*\n)*", "", named)
    return "\n".join(_head(path, f"A copy of `{asked}`.")) + "\n" + body


def names_seen_from(folder: Path, spec: Spec) -> Names:
    """Return the names of files in a spec as a copy of it says them in another folder."""
    specs = {place: Path(file) for place, file in spec.names.items()}
    files = {**specs, **start_paths(spec.system), **data_path(spec)}
    return Names(
        new={place: _relative(file, folder) for place, file in files.items()},
        shipped=frozenset(place for place, file in spec.names.items() if file in spec.shipped),
    )


def _renamed(text: str, name: str) -> str | None:
    """Return the text of a spec under another name; None where that isn't on a line of its own."""
    pattern = r"^name[ \t]*:.*$"
    named, count = re.subn(pattern, f"name: {name}", text, count=1, flags=re.MULTILINE)
    return named if count else None


def _head(path: Path, about: str) -> list[str]:
    """Return the line by which editors find the schema, and what this is."""
    schema = _relative(zoo.folder() / SCHEMA, path.parent)
    return [f"# yaml-language-server: $schema={schema}", "#", f"# {about}"]


def _relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder; absolute where that would climb out of the current
    one.
    """
    near = Path(os.path.relpath(path, folder))
    climbs = not path.resolve().is_relative_to(Path.cwd())
    return (path.resolve() if climbs else near).as_posix()


def _scalar(value: str) -> str:
    """Return a value as YAML; words that mean something else are quoted."""
    return value if re.fullmatch(r"[A-Za-z0-9_./+-]+", value) else json.dumps(value)
