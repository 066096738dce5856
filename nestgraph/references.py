"""Optimizers that a spec names: read, checked, and put where they are named.

`training.optimizer` of a model and `spec:` of an optimizer's group are names or paths, seen from
the spec's own file. What they mean is read with the spec, so that its kept texts are complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from nestgraph import zoo
from nestgraph.compose import Composer
from nestgraph.cures import Cures, Drop, either
from nestgraph.elaborate import Elaboration
from nestgraph.errors import Span
from nestgraph.files import UnreadableError, shown
from nestgraph.findings import Findings, closest, did_you_mean, other_names
from nestgraph.schema.file import VERSION
from nestgraph.settings import SETTING
from nestgraph.system import Group, System, Training
from nestgraph.tree import Entry, Scalar, Table, Value

Vars = Mapping[str, tuple[object, Span | None]]
"""Values with the places that say so; a default, which has none, may find no var to set."""
DEFAULT = Training()
MOST_NAMED = 64  # optimizers that a spec names, and those that they name, each time that they do


class References:
    """Reads what one spec refers to.

    Args:
        composer: which read the spec.
        findings: receives every problem.
    """

    def __init__(self, composer: Composer, findings: Findings) -> None:
        self.composer = composer
        self.findings = findings
        self.named = 0

    def attach(self, system: System, file: str, inline: Table | None) -> System:
        """The system with every optimizer that it names.

        Args:
            system: of the spec.
            file: of the spec.
            inline: what stands in `training.optimizer` where that is no name.
        """
        if system.model is None:
            return self._groups(system, file, ())
        training = system.training
        given = _vars_of(training, inline is not None)
        if inline is not None:
            tree = self._as_spec(inline, system.name)
            found = self._elaborated(file, tree, given, inline.span, ())
        else:
            span = training.spans.get("optimizer")
            # A path that is set from outside is seen from where the user is.
            outside = span is not None and span.file.startswith(SETTING)
            here = outside and Path(training.optimizer).is_file()
            beside = None if here else file
            found = self._named(training.optimizer, beside, given, span, ())
        return replace(system, training=replace(training, system=found))

    def _as_spec(self, inline: Table, model: str) -> Table:
        entries = dict(inline.entries)
        for key, value in (("nestgraph", VERSION), ("name", f"{model}-optimizer")):
            if key not in entries:
                text = Scalar(value, inline.span, str(value))
                entries[key] = Entry(inline.span, text)
        return Table(entries, inline.span)

    def _groups(self, system: System, file: str, chain: tuple[str, ...]) -> System:
        if system.optimizer is None:
            return system
        groups = tuple(self._group(group, file, (*chain, file)) for group in system.optimizer)
        return replace(system, optimizer=groups)

    def _group(self, group: Group, file: str, chain: tuple[str, ...]) -> Group:
        if group.spec is None:
            return group
        given = {name: (value, group.span) for name, value in group.vars.items()}
        return replace(group, system=self._named(group.spec, file, given, group.span, chain))

    def _named(
        self, name: str, beside: str | None, given: Vars, span: Span | None, chain: tuple[str, ...]
    ) -> System | None:
        """The optimizer of that name, with all that it refers to itself."""
        file = self._file(name, beside)
        if file is None:
            message = f"no optimizer is called `{name}`"
            near = closest(name, zoo.optimizers())
            hint = "`nestgraph list` shows the optimizers; a path will do too"
            hint = hint if near is None else f"did you mean `{near}`?"
            self.findings.add("NG347", message, span, hint, cures=_others(span))
            return None
        if file in chain:
            around = " -> ".join((*chain[chain.index(file) :], file))
            message = f"the optimizers name each other in a circle: {around}"
            hint, cures = "name one that does not lead back here", _others(span)
            self.findings.add("NG346", message, span, hint, cures=cures)
            return None
        self.named += 1
        if self.named > MOST_NAMED:
            if self.named == MOST_NAMED + 1:
                message = f"more than {MOST_NAMED} optimizers are named, one inside of another"
                hint, cures = "name fewer; one that is named twice counts twice", _others(span)
                self.findings.add("NG114", message, span, hint, cures=cures)
            return None
        tree = self.composer.read(file, span)
        return None if tree is None else self._elaborated(file, tree, given, span, chain)

    def _file(self, name: str, beside: str | None) -> str | None:
        try:
            return self.composer.reader.find(name, beside=beside)
        except UnreadableError:
            # Texts that were kept, or given without files, may name an optimizer that ships.
            path = zoo.path(name)
            return None if path is None else shown(path)

    def _elaborated(
        self, file: str, tree: Table, given: Vars, span: Span | None, chain: tuple[str, ...]
    ) -> System | None:
        extended = self.composer.extended(tree, file)
        if extended is None:
            return None
        if "model" in extended and "optimizer" not in extended:
            message = f"`{PurePath(file).stem}` is a model, not an optimizer"
            hint, cures = "name a spec that has `optimizer`", _others(span)
            self.findings.add("NG347", message, span, hint, cures=cures)
            return None
        system = Elaboration(self._tuned(extended, given, span), self.findings).system
        return None if system is None else self._groups(system, file, chain)

    def _tuned(self, tree: Table, given: Vars, span: Span | None) -> Table:
        """The tree with some of its vars set from outside."""
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
            self.findings.add("NG348", message, at, hint, cures=either([Drop(at)]))
        table = Table(declared, known.span if known is not None else tree.span)
        return Table({**tree.entries, "vars": Entry(tree.span, table)}, tree.span)


def _others(span: Span | None) -> Cures | None:
    """Optimizers that ship, in place of one that can't be had."""
    return None if span is None else other_names(span, ("adamw", "sgd", "muon"))


def _vars_of(training: Training, inline: bool) -> Vars:
    """Vars of the optimizer that `training` sets: those it says, and nanoGPT's for the default."""
    spans, default = training.spans, not inline and training.optimizer == DEFAULT.optimizer
    found: dict[str, tuple[object, Span | None]] = {}
    if "betas" in spans or default:
        for place, beta in enumerate(training.betas, start=1):
            found[f"beta{place}"] = (beta, spans.get("betas"))
    if "weight_decay" in spans or default:
        found["decay"] = (training.weight_decay, spans.get("weight_decay"))
    if default:
        found["vector_decay"] = (0.0, None)
    return found
