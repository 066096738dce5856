"""Specs: read, composed, elaborated and checked.

    spec = load("hope-tiny", set={"vars.width": 64})

A `Spec` holds the texts that it was read from, so that it can be kept in a checkpoint and read
again without the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nestgraph import checks, shapes
from nestgraph.display import wording
from nestgraph.display.fields import Field
from nestgraph.display.registry import display
from nestgraph.elaborate import Elaboration
from nestgraph.errors import NO_SOURCES, Diagnostic, Span, SpecError, in_file_order
from nestgraph.findings import Findings
from nestgraph.language.bases import sparing_bases
from nestgraph.language.compose import Composer
from nestgraph.language.references import Optimizers, References
from nestgraph.language.system import System
from nestgraph.recovery import error_recovery
from nestgraph.recovery.error_recovery import Outcome
from nestgraph.text.files import Disk, Reader, Texts
from nestgraph.text.kept import NO_NAMES, Names, renamed_tree
from nestgraph.text.tree import Table

NO_OVERRIDES: Mapping[str, object] = {}


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A spec without errors.

    Attributes:
        path: the file that was asked for.
        sources: the text of every file that was read, by name.
        overrides: what `--set` changed.
        system: what it all means.
        warnings: findings that are no errors.
        names: the file that each name of one means, by the place where it is written.
        shipped: the files among `sources` that are shipped specs.
    """

    path: str
    sources: Mapping[str, str] = field(repr=False)
    overrides: Mapping[str, object]
    system: System = field(repr=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), repr=False)
    names: Mapping[Span, str] = field(default_factory=dict, repr=False)
    shipped: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def from_sources(
        cls,
        sources: Mapping[str, str],
        main: str,
        overrides: Mapping[str, object] = NO_OVERRIDES,
        shipped: Iterable[str] | None = None,
    ) -> Spec:
        """Read a spec again from texts that were kept.

        Args:
            sources: texts by file name, as `Spec.sources` gave them.
            main: the file among them that is the spec.
            overrides: as `Spec.overrides` gave them.
            shipped: as `Spec.shipped` gave them; None where they were not kept.

        Raises:
            SpecError: with every problem found.
        """
        return _load(main, overrides, Texts(sources, shipped))

    def resolved_yaml(self, names: Names = NO_NAMES) -> str:
        """Return the spec as one text without vars, `extends` and `like`, which loads again.

        Args:
            names: of files, where they are not to be those that the author wrote.
        """
        from nestgraph.language.resolved import resolved_yaml

        return resolved_yaml(self._elaborated(names))

    def variables(self) -> tuple[Field, ...]:
        """Return the vars of the file with their values, each with the place that it came from."""
        scope = self._elaborated().scope
        values = scope.own()
        return tuple(
            Field(name=name, value=wording.plain(values[name]), span=entry.value.span)
            for name, entry in scope.defaults.items()
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return display("spec", self)

    def _elaborated(self, names: Names = NO_NAMES) -> Elaboration:
        findings = Findings()
        composed = Composer(Texts(self.sources, self.shipped), findings).compose(
            self.path, self.overrides
        )
        if composed is None:
            raise SpecError(findings, self.sources)
        tree = renamed_tree(composed.tree, names)
        assert isinstance(tree, Table)
        return Elaboration(tree, findings)


def load(
    path_or_name: str | Path,
    set: Mapping[str, object] | None = None,
    reader: Reader | None = None,
) -> Spec:
    """Read a spec.

    Args:
        path_or_name: a file, or the name of a shipped spec.
        set: overrides, such as `{"vars.width": 64}`; texts are read as YAML.
        reader: where files come from; the disk, seen from the working folder, when None.

    Raises:
        SpecError: with every problem found, each with its place.
    """
    return _load(str(path_or_name), set or NO_OVERRIDES, reader or Disk())


def check(
    path_or_name: str | Path,
    set: Mapping[str, object] | None = None,
    reader: Reader | None = None,
) -> tuple[list[Diagnostic], Mapping[str, str]]:
    """Return all findings about a spec, and the texts that they point into.

    Args:
        path_or_name: a file, or the name of a shipped spec.
        set: overrides, such as `{"vars.width": 64}`.
        reader: where files come from; the disk when None.
    """
    reading = _Reading(str(path_or_name), set or NO_OVERRIDES, reader or Disk())
    return list(in_file_order(reading.findings)), reading.texts


class _Reading:
    """One run from name to system, with all its findings."""

    def __init__(self, name: str, overrides: Mapping[str, object], reader: Reader) -> None:
        self.findings = Findings()
        self.system: System | None = None
        self.optimizers: Optimizers = {}
        composer = Composer(reader, self.findings)
        composed = composer.compose(name, overrides)
        self.main = composed.main if composed else name
        self.sources, self.names = composer.sources, composer.names
        self.bases = frozenset(composer.sources) - {self.main}
        self.changed = bool(overrides)
        self.texts = {**composer.sources, **composer.settings}
        if composed is None:
            return
        if "network" in composed.tree:
            span = composed.tree.entries["network"].key
            message = "this is a file of clocks for a network of Hugging Face, which is no spec"
            self.findings.add("NG763", message, span, "read a text by `nestgraph stack FILE`")
            return
        self.composer, self.composed = composer, composed
        earlier = Findings()
        earlier.take(self.findings)
        outcome, self.system = self._read(composed.tree)
        self.findings.take(outcome.front)
        if not earlier.failed:
            self.findings += (*outcome.named, *outcome.rest)
        self.texts |= composer.sources  # what it refers to has been read now
        if self.findings.failed:
            self.findings += error_recovery.further(
                composed.tree, earlier, outcome, lambda tree: self._read(tree)[0]
            )
            places = {one.span.file for one in self.findings if one.span is not None}
            self.texts |= {file: composer.sources[file] for file in places & {*composer.sources}}
        assert self.system is not None or self.findings.failed, "refused without a word"

    def _read(self, tree: Table) -> tuple[Outcome, System | None]:
        """Return what one tree says, and all that is wrong with it."""
        front = Findings()
        elaboration = Elaboration(tree, front)
        if elaboration.system is None:
            return Outcome(parts=elaboration.library.parts, front=front), None
        named = Findings()
        references = References(self.composer, named, self.optimizers)
        system = references.attach(elaboration.system, self.composed.main, elaboration.inline)
        system, misfits = shapes.infer(system)
        judged = sparing_bases(checks.run(system), self.main, self.bases, self.changed)
        rest = (*misfits, *judged)
        parts = elaboration.library.parts
        return Outcome(parts=parts, front=front, named=named, rest=rest), system


def _load(name: str, overrides: Mapping[str, object], reader: Reader) -> Spec:
    reading = _Reading(name, overrides, reader)
    if reading.system is None or reading.findings.failed:
        raise SpecError(reading.findings, reading.texts or NO_SOURCES)
    return Spec(
        path=reading.main,
        sources=reading.sources,
        overrides=dict(overrides),
        system=reading.system,
        warnings=in_file_order(reading.findings),
        names=reading.names,
        shipped=frozenset(file for file in reading.sources if reader.ships(file)),
    )
