"""Hugging Face networks on clocks, as a file says it: read, composed and checked without torch.

    nestgraph: 1
    name: llama-online
    network: path/of/a/llama
    levels: {fast: 128 tokens, slow: 512 tokens}
    mlps:
      - {layers: 0-1, level: fast, rate: 1e-4}
      - {layers: 2-3, level: slow, rate: 1e-4}

`extends`, `vars` and `--set` are those of specs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nestgraph import schema
from nestgraph.elaborate.clocks import clocks
from nestgraph.elaborate.mentions import check_vars
from nestgraph.elaborate.scope import Scope
from nestgraph.errors import Diagnostic, Span, SpecError
from nestgraph.findings import Findings, did_you_mean
from nestgraph.language.compose import Composer
from nestgraph.language.system import Clock
from nestgraph.schema.clocks import LAYERS, ClockFile, Mlps
from nestgraph.schema.follow import known_keys
from nestgraph.text.files import Disk
from nestgraph.text.settings import seen_from
from nestgraph.text.tree import Entry, Items, Scalar, Table, Tree, plain, shown

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
NO_CHANGES: Mapping[str, object] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class StackedLevel:
    """Blocks that move together.

    Attributes:
        period: tokens between two moves.
        layers: the network's layers whose MLPs are meant, counted from 0.
        rate: of the sum of a period's losses.
        places: where a file says `layers` and `period`.
    """

    period: int
    layers: tuple[int, ...]
    rate: float
    places: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stacking:
    """A network and its levels.

    Attributes:
        network: a local folder or a name of Hugging Face.
        levels: the clocks, each with its MLPs.
        sources: text of every file that was read.
        warnings: findings that are no errors.
    """

    network: str
    levels: tuple[StackedLevel, ...]
    sources: Mapping[str, str] = field(repr=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), repr=False)


def names_network(path: str) -> bool:
    """Return whether a file is one of clocks: it, or what it extends, names a `network`."""
    composed = Composer(Disk(), Findings()).compose(path, NO_CHANGES)
    return composed is not None and "network" in composed.tree


def load_stacking(path: str, changes: Mapping[str, object] = NO_CHANGES) -> Stacking:
    """Read a file of clocks.

    Raises:
        SpecError: with every problem found, each with its place.
    """
    findings = Findings()
    composer = Composer(Disk(), findings)
    composed = composer.compose(path, changes)
    texts = {**composer.sources, **composer.settings}
    if composed is None:
        raise SpecError(findings, texts)
    tree = _mended(composed.tree, findings)
    check_vars(tree, findings)
    found = _Reading(tree, findings)
    findings += misfits(found.levels)
    if found.file is None or findings.failed:
        raise SpecError(findings, texts)
    network = _place(found.file.network, tree)
    return Stacking(network=network, levels=found.levels, sources=texts, warnings=tuple(findings))


def misfits(levels: Sequence[StackedLevel]) -> list[Diagnostic]:
    """Return what is wrong with levels whatever the network is."""
    findings, taken = Findings(), set[int]()
    fastest = min((level.period for level in levels), default=1)
    for level in levels:
        if level.period < 1 or level.period % fastest:
            message = (
                f"a level of {level.period} tokens isn't whole periods of the fastest, which is"
                f" {fastest}"
            )
            hint = "let slower periods be multiples of the fastest"
            findings.add("NG763", message, level.places.get("period"), hint)
        for layer in level.layers:
            if layer in taken:
                message = f"layer {layer} stands on two levels"
                findings.add("NG763", message, level.places.get("layers"), "choose one")
            taken.add(layer)
    return findings


def layers_in(text: str) -> range | None:
    """Return the layers that `2` or `0-3` means; None for anything else."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return range(first, last + 1) if first <= last else None


class _Reading:
    """The levels of one composed file."""

    def __init__(self, tree: Table, findings: Findings) -> None:
        self.findings = findings
        defaults = tree.get("vars")
        self.scope = Scope(findings, defaults if isinstance(defaults, Table) else None)
        self.scope.own()
        self.clocks = clocks(tree.get("levels"), self.scope, findings)
        applied = {
            key: entry if key in ("vars", "levels") else self._applied(entry)
            for key, entry in tree.entries.items()
        }
        header = Table(applied, tree.span)
        self.file: ClockFile | None = schema.validate(
            ClockFile, header, "the file of clocks", findings
        )
        self.levels: tuple[StackedLevel, ...] = ()
        listed = header.get("mlps")
        if self.file is not None and isinstance(listed, Items):
            pairs = zip(self.file.mlps, listed.items, strict=False)
            self.levels = tuple(level for mlps, item in pairs for level in self._level(mlps, item))

    def _applied(self, entry: Entry) -> Entry:
        return Entry(entry.key, self.scope.apply(entry.value))

    def _level(self, mlps: Mlps, tree: Tree) -> Iterator[StackedLevel]:
        """Yield the level of one item; nothing if it is broken."""
        if not isinstance(tree, Table):
            return
        named, given = tree.get("level"), tree.get("layers")
        layers = tuple(self._layers(given)) if given is not None else ()
        clock = self._clock(mlps.level, named.span if named is not None else tree.span)
        if clock is None or given is None or not layers:
            return
        places = {"layers": given.span, "period": clock.span or tree.span}
        yield StackedLevel(period=clock.period, layers=layers, rate=mlps.rate, places=places)

    def _clock(self, name: str, span: Span) -> Clock | None:
        if name not in self.clocks:
            hint = did_you_mean(name, self.clocks) or "declare it in `levels`"
            self.findings.add("NG204", f"`level: {name}` names no level", span, hint)
            return None
        clock = self.clocks[name]
        if clock is not None and clock.unit != "tokens":
            message = f"level `{name}` counts {clock.unit}, but the network learns while it reads"
            if clock.unit == "never":
                message = f"level `{name}` never comes"
            hint = "give it tokens, such as `128 tokens`; a rate of 0 stands still"
            self.findings.add("NG763", message, span, hint)
            return None
        return clock

    def _layers(self, tree: Tree) -> Iterator[int]:
        """Yield every layer that is meant, each thing that is none reported."""
        for item in tree.items if isinstance(tree, Items) else (tree,):
            value = plain(item) if isinstance(item, Scalar) else None
            found = layers_in(str(value)) if isinstance(value, int | str) else None
            if found is None:
                message = f"`layers` names {shown(item)}, which is no layer"
                self.findings.add("NG104", message, item.span, f"expected {LAYERS}")
                continue
            yield from found


def _mended(tree: Table, findings: Findings) -> Table:
    """Return the tree with its mistyped keys reported and put right, so that the rest is read
    too.
    """
    tree = schema.mended(tree, known_keys(ClockFile), "the file of clocks", findings)
    mlps = tree.entries.get("mlps")
    if mlps is None or not isinstance(mlps.value, Items):
        return tree
    items = tuple(
        schema.mended(item, known_keys(Mlps), f"`mlps.{index}`", findings)
        if isinstance(item, Table)
        else item
        for index, item in enumerate(mlps.value.items)
    )
    whole = Entry(mlps.key, Items(items, mlps.value.span))
    return Table({**tree.entries, "mlps": whole}, tree.span)


def _place(network: str, tree: Table) -> str:
    """Return the folder beside the file that names it, if there is one; else the name."""
    entry = tree.entries["network"]
    home = seen_from(entry.value.span)
    beside = (Path() if home is None else Path(home).parent) / network
    return str(beside) if beside.is_dir() else network
