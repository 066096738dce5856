"""Optimizers that a spec names: read, checked, and put where they are named.

`training.optimizer` of a model and `spec:` of an optimizer's group are names or paths, seen from
the file that wrote them. A model that names none gets the shipped default, whatever lies beside it.
What they mean is read with the spec, so that its kept texts are complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from nestgraph.elaborate import Elaboration
from nestgraph.elaborate.library import MAX_PARTS
from nestgraph.errors import Span
from nestgraph.findings import Findings, closest, did_you_mean, other_names
from nestgraph.language import zoo
from nestgraph.language.compose import Composer
from nestgraph.language.system import Group, System, Training
from nestgraph.recovery.fixes import Cures, Drop, either
from nestgraph.schema.file import VERSION
from nestgraph.text.files import UnreadableError
from nestgraph.text.settings import seen_from
from nestgraph.text.tree import Entry, Scalar, Table, Value

Vars = Mapping[str, tuple[object, Span | None]]
"""Values with the places that say so; a default, which has none, may find no var to set."""
DEFAULT = Training()
MOST_NAMED = 64  # optimizers that a spec names, and those that they name, each time that they do


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """What one file says of itself, as named at one place with some vars.

    Attributes:
        system: without the optimizers that it names; None where the file holds none.
        findings: on the file.
        parts: nodes and memories that were built.
    """

    system: System | None
    findings: Findings
    parts: int = 0


Optimizers = dict[tuple[object, ...], Optimizer]
"""By file, place and vars. Files stay as they are while a spec is read again and again."""


class References:
    """Reads what one spec refers to.

    Args:
        composer: which read the spec.
        findings: receives every problem.
        known: the optimizers that have been read before; those that are read now are added.
    """

    def __init__(self, composer: Composer, findings: Findings, known: Optimizers) -> None:
        self.composer = composer
        self.findings = findings
        self.known = known
        self.named = 0
        self.parts = 0
        self.outermost: Span | None = None  # where the spec itself names what is read just now

    def attach(self, system: System, file: str, inline: Table | None) -> System:
        """Return the system with every optimizer that it names.

        Args:
            system: of the spec.
            file: of the spec.
            inline: what stands in `training.optimizer` where that is no name.
        """
        if system.model is None:
            return self._groups(system, (file,))
        training, span = system.training, system.training.spans.get("optimizer")
        if inline is not None:
            tree = self._as_spec(inline, system.name)
            given = _vars_of(training, shipped=False)
            self.outermost = inline.span
            own = self._elaborated(file, tree, given, inline.span)
            found = self._whole(own, (file,))
        else:
            found = self._trainer(training, span)
        return replace(system, training=replace(training, system=found))

    def _trainer(self, training: Training, span: Span | None) -> System | None:
        """Return the optimizer that a model names, or the shipped one where it names none."""
        if span is None:
            file = self.composer.reader.shipped(training.optimizer)
            assert file is not None
        else:
            found = self._file(training.optimizer, span)
            if found is None:
                return None
            file = found
        named = training.optimizer == DEFAULT.optimizer
        shipped = span is None or (named and self.composer.reader.ships(file))
        return self._read(file, _vars_of(training, shipped=shipped), span, ())

    def _as_spec(self, inline: Table, model: str) -> Table:
        entries = dict(inline.entries)
        for key, value in (("nestgraph", VERSION), ("name", f"{model}-optimizer")):
            if key not in entries:
                text = Scalar(value, inline.span, str(value))
                entries[key] = Entry(inline.span, text)
        return Table(entries, inline.span)

    def _groups(self, system: System, chain: tuple[str, ...]) -> System:
        if system.optimizer is None:
            return system
        groups = tuple(self._group(group, chain) for group in system.optimizer)
        return replace(system, optimizer=groups)

    def _group(self, group: Group, chain: tuple[str, ...]) -> Group:
        if group.spec is None:
            return group
        assert group.place is not None
        file = self._file(group.spec, group.place)
        if file is None:
            return group
        given = {name: (value, group.span) for name, value in group.vars.items()}
        return replace(group, system=self._read(file, given, group.place, chain))

    def _read(
        self, file: str, given: Vars, span: Span | None, chain: tuple[str, ...]
    ) -> System | None:
        """Return the optimizer of a file, with all that it refers to itself."""
        if file in chain:
            around = " -> ".join((*chain[chain.index(file) :], file))
            message = f"the optimizers name each other in a circle: {around}"
            hint, cures = "name one that does not lead back here", _others(span)
            self.findings.add("NG346", message, span, hint, cures=cures)
            return None
        if not chain or self.outermost is None:
            self.outermost = span
        if self.parts > MAX_PARTS or self.named > MOST_NAMED:
            return None  # said before
        self.named += 1
        if self.named > MOST_NAMED:
            self._too_many(f"more than {MOST_NAMED} optimizers are named, one inside of another")
            return None
        key = (file, span, *given.items())
        if key not in self.known:
            tree = self.composer.read(file, span)
            missing = Optimizer(system=None, findings=Findings())
            self.known[key] = missing if tree is None else self._elaborated(file, tree, given, span)
        return self._whole(self.known[key], (*chain, file))

    def _whole(self, optimizer: Optimizer, chain: tuple[str, ...]) -> System | None:
        """Return an optimizer with those that it names."""
        self.findings.take(optimizer.findings)
        self.parts += optimizer.parts
        if self.parts > MAX_PARTS:
            self._too_many(
                f"the optimizers that are named hold more than {MAX_PARTS:,} nodes and memories"
            )
            return None
        return None if optimizer.system is None else self._groups(optimizer.system, chain)

    def _too_many(self, message: str) -> None:
        """Return what is said where the spec itself names the optimizer that leads to all the
        others.
        """
        hint = "name fewer; one that is named twice counts twice"
        cures = _others(self.outermost)
        self.findings.add("NG114", message, self.outermost, hint, cures=cures)

    def _file(self, name: str, span: Span) -> str | None:
        """Return the file of the optimizer that is named at a place; None after a finding."""
        try:
            return self.composer.find(name, span)
        except UnreadableError:
            # Texts that were kept, or given without files, may name an optimizer that ships.
            shipped = self.composer.reader.shipped(name)
        if shipped is not None:
            return shipped
        message = f"no optimizer is called `{name}`"
        near = closest(name, zoo.optimizers())
        hint = "`nestgraph list` shows the optimizers; a path will do too"
        if near is not None:
            hint = f"did you mean `{near}`?"
        elif seen_from(span) is None:
            hint = f"{hint}, seen from the folder that you are in"
        self.findings.add("NG347", message, span, hint, cures=_others(span))
        return None

    def _elaborated(self, file: str, tree: Table, given: Vars, span: Span | None) -> Optimizer:
        """Return what the tree of a file says, without the optimizers that it names."""
        findings = Findings()
        extended = self.composer.extended(tree, file)
        if extended is None:
            return Optimizer(system=None, findings=findings)
        if "model" in extended and "optimizer" not in extended:
            message = f"`{PurePath(file).stem}` is a model, not an optimizer"
            hint, cures = "name a spec that has `optimizer`", _others(span)
            findings.add("NG347", message, span, hint, cures=cures)
            return Optimizer(system=None, findings=findings)
        tuned = self._tuned(extended, given, span, findings)
        made = Elaboration(tuned, findings)
        return Optimizer(system=made.system, findings=findings, parts=made.library.parts)

    def _tuned(self, tree: Table, given: Vars, span: Span | None, findings: Findings) -> Table:
        """Return the tree with some of its vars set from outside."""
        known = tree.get("vars")
        declared = dict(known.entries) if isinstance(known, Table) else {}
        for name, (value, place) in given.items():
            at = place or span or tree.span
            if name in declared:
                assert isinstance(value, str | int | float | bool)
                word: Value = value
                declared[name] = Entry(at, Scalar(word, at, str(value)))
            if name in declared or place is None:
                continue
            hint = did_you_mean(name, declared) or "set it where the optimizer is written"
            message = f"the optimizer has no var `{name}`"
            findings.add("NG348", message, at, hint, cures=either([Drop(at)]))
        table = Table(declared, known.span if known is not None else tree.span)
        return Table({**tree.entries, "vars": Entry(tree.span, table)}, tree.span)


def _others(span: Span | None) -> Cures | None:
    """Return optimizers that ship, in place of one that can't be had."""
    return None if span is None else other_names(span, ("adamw", "sgd", "muon"))


def _vars_of(training: Training, *, shipped: bool) -> Vars:
    """Return vars of the optimizer that `training` sets: those it says, and nanoGPT's for the
    default.

    Args:
        training: of the model.
        shipped: whether the optimizer is the default one, and no file of the user's by its name.
    """
    spans = training.spans
    found: dict[str, tuple[object, Span | None]] = {}
    if "betas" in spans or shipped:
        for place, beta in enumerate(training.betas, start=1):
            found[f"beta{place}"] = (beta, spans.get("betas"))
    if "weight_decay" in spans or shipped:
        found["decay"] = (training.weight_decay, spans.get("weight_decay"))
    if shipped:
        found["vector_decay"] = (0.0, None)
    return found
