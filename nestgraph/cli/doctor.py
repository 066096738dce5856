"""`nestgraph doctor`: whether what nestgraph needs is here, and what to do where it isn't."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import typer

import nestgraph
from nestgraph.cli.columns import columns
from nestgraph.cli.saying import say
from nestgraph.errors import SpecError

SICK = 1
State = Literal["ok", "missing", "broken"]
NEEDED = ("torch", "lightning", "networkx", "pydantic", "pyyaml", "safetensors", "typer", "rich")
EXTRAS = {"matplotlib": "report", "tensorboard": "tensorboard"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: `missing` is for what one can do without.
        found: what was found.
        cure: what to do about it.
    """

    name: str
    state: State
    found: str
    cure: str = ""


def examine(as_json: bool) -> None:
    """Print what was found; end with status 1 if anything is broken."""
    findings = list(_all())
    if as_json:
        say(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        rows = [(f.state, f.name, f.found) for f in findings]
        say(columns(rows))
        for finding in findings:
            if finding.cure:
                say(f"\n{finding.name}: {finding.cure}")
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(SICK)


def _all() -> Iterator[Finding]:
    yield _python()
    yield from (_package(name) for name in NEEDED)
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("nestgraph", _own),
        ("devices", _devices),
        ("pictures", _pictures),
        ("texts", _texts),
        ("folder", _folder),
    )
    for name, look in looks:
        try:
            yield look()
        except Exception as error:  # a broken installation breaks in any way; go on looking
            cure = "install nestgraph again"
            yield Finding(
                name=name, state="broken", found=f"{type(error).__name__}: {error}", cure=cure
            )
    yield from (_extra(package, extra) for package, extra in EXTRAS.items())


def _python() -> Finding:
    return Finding(name="python", state="ok", found=f"{platform.python_version()}, {sys.prefix}")


def _package(name: str) -> Finding:
    try:
        return Finding(name=name, state="ok", found=version(name))
    except PackageNotFoundError:
        cure = "install nestgraph again"
        return Finding(name=name, state="broken", found="not installed", cure=cure)


def _extra(package: str, extra: str) -> Finding:
    if find_spec(package) is not None:
        return Finding(name=package, state="ok", found=version(package))
    cure = f"for `nestgraph[{extra}]`: pip install 'nestgraph[{extra}]'"
    return Finding(name=package, state="missing", found="not installed", cure=cure)


def _own() -> Finding:
    """Return every shipped spec loads."""
    from nestgraph.language import zoo
    from nestgraph.language.spec import load

    bad, names = [], (*zoo.names(), *zoo.optimizers())
    for name in names:
        try:
            load(name)
        except SpecError:
            bad.append(name)
    found = f"{nestgraph.__version__}, {len(names)} specs in {zoo.folder()}"
    if bad:
        cure = f"these shipped specs are broken: {', '.join(bad)}; install nestgraph again"
        return Finding(name="nestgraph", state="broken", found=found, cure=cure)
    return Finding(name="nestgraph", state="ok", found=found)


def _devices() -> Finding:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"
    return Finding(name="devices", state="ok", found=", ".join([*gpus, f"cpu: {threads}"]))


def _pictures() -> Finding:
    """Check that a picture is really drawn."""
    from nestgraph.language.spec import load
    from nestgraph.viz import DrawError, draw
    from nestgraph.viz.routing.engine import renderer

    try:
        draw(load("hope-tiny"))
        return Finding(name="pictures", state="ok", found=str(renderer()))
    except DrawError as error:
        return Finding(name="pictures", state="missing", found="can't be drawn", cure=str(error))


def _texts() -> Finding:
    """Check that the shipped text is whole."""
    from nestgraph.data import load_corpus

    try:
        corpus = load_corpus("shakespeare")
    except SpecError as error:
        return Finding(name="texts", state="broken", found="damaged", cure=str(error))
    bytes_ = len(corpus.train) + len(corpus.validation)
    return Finding(name="texts", state="ok", found=f"{corpus.name}, {bytes_:,} bytes")


def _folder() -> Finding:
    """Check that runs can be written where the user stands."""
    here = Path.cwd()
    try:
        with tempfile.NamedTemporaryFile(dir=here):
            return Finding(name="folder", state="ok", found=f"{here} can be written to")
    except OSError as error:
        cure = "change to a folder that you may write to, or train with `--out`"
        found = f"{here}: {error.strerror}"
        return Finding(name="folder", state="missing", found=found, cure=cure)
