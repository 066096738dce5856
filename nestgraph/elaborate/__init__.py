"""From a composed tree to the `System`: vars, levels, blocks, `like`, defaults, inlining.

Every problem of the schema and of names is reported in one go; widths, clocks and cycles are
judged afterwards, on the system.
"""

from __future__ import annotations

from dataclasses import replace

from nestgraph import schema
from nestgraph.elaborate.clocks import clocks
from nestgraph.elaborate.library import Instance, Library, TooLargeError
from nestgraph.elaborate.mentions import check_vars
from nestgraph.elaborate.scope import Scope
from nestgraph.elaborate.stack import StackBuilder
from nestgraph.errors import Span
from nestgraph.findings import Findings, closest
from nestgraph.language.system import System, Training
from nestgraph.recovery.fixes import Add, Drop, Put, either
from nestgraph.schema import stand_ins
from nestgraph.schema.follow import bounded, known_keys
from nestgraph.schema.samples import samples
from nestgraph.text.tree import Entry, Items, Scalar, Table


class Elaboration:
    """One spec on its way from tree to system.

    Attributes:
        system: the result; None when there are errors.
        library: every block instance that was built.
        header: the file less its blocks, vars filled in.
        chosen: the instance of each item of the stack or optimizer, by the item's identity.
        inline: the optimizer that stands in `training` itself; it is a spec of its own.
    """

    def __init__(self, tree: Table, findings: Findings) -> None:
        self.findings = findings
        self.tree, self.inline = _without_inline(_mended(tree, findings))
        self.system: System | None = None
        check_vars(self.tree, findings)
        self.scope = Scope(findings, self._table("vars"))
        self.scope.own()
        findings.vars = self.scope.names
        findings.ops = _ops_of(self.tree)
        self.clocks = clocks(self.tree.get("levels"), self.scope, findings)
        self.library = Library(self._blocks(), self.scope, self.clocks, findings)
        self.header = self._header()
        self.chosen: dict[int, Instance] = {}
        try:
            self.system = self._system()
        except TooLargeError:
            self.system = None

    def _table(self, key: str) -> Table | None:
        tree = self.tree.get(key)
        if tree is None or isinstance(tree, Table):
            return tree
        if not (isinstance(tree, Scalar) and tree.value is None):
            cures = either([Put(tree.span, {})])
            self.findings.wrong(f"`{key}`", tree, "a mapping", cures=cures)
        return Table({}, tree.span)

    def _blocks(self) -> Table | None:
        """Return the blocks; a model is made of them, an optimizer may leave all to other
        optimizers.
        """
        blocks = self._table("blocks")
        if (blocks is not None and blocks.entries) or "model" not in self.tree:
            return blocks or Table({}, self.tree.span)
        given = self.tree.entries.get("blocks")
        message = "the spec needs `blocks`" if given is None else "`blocks` is empty"
        span = Span(file=self.tree.span.file, line=1, column=1) if given is None else given.key
        hint = "a model is made of blocks: add `blocks: {name: {nodes: ...}}`"
        blank = [{"b": block} for block in stand_ins.blocks()]
        fill = [
            Add(self.tree.span, "blocks", one) if given is None else Put(given.value.span, one)
            for one in blank
        ]
        self.findings.add("NG106", message, span, hint, cures=either(fill))
        return None

    def _header(self) -> Table:
        """Return the file's own fields, with names only for the sections that are checked
        elsewhere.
        """
        entries: dict[str, Entry] = {}
        for key, entry in self.tree.entries.items():
            value = entry.value
            if key == "training" and isinstance(value, Scalar) and value.value is None:
                value = Table({}, value.span)
            if key in ("vars", "levels", "blocks"):
                value = Table({}, value.span)
            elif key not in ("name", "doc"):
                value = self.scope.apply(value)
            entries[key] = Entry(entry.key, value)
        return Table(entries, self.tree.span)

    def _system(self) -> System | None:
        file = schema.validate(schema.SpecFile, self.header, "the spec", self.findings)
        if file is None:
            self.library.build_rest()
            return None
        self._model_or_optimizer()
        builder = StackBuilder(self.library, self.findings)
        self.chosen = builder.chosen
        model, groups = None, None
        tree = self.header.get("model")
        if file.model is not None and isinstance(tree, Table):
            model = builder.model(file.model, tree, self.header.entries["model"].key)
        optimizer = self.header.get("optimizer")
        alone = "model" not in self.header
        if alone and file.optimizer is not None and isinstance(optimizer, Items):
            groups = builder.optimizer(file.optimizer, optimizer)
        self.library.build_rest()
        training = self._training(file.training)
        if self.findings.failed:
            return None
        return System(
            name=file.name,
            doc=file.doc,
            clocks={name: clock for name, clock in self.clocks.items() if clock is not None},
            model=model,
            optimizer=groups,
            training=training,
        )

    def _model_or_optimizer(self) -> None:
        kinds = ("model", "optimizer")
        given = [key for key in kinds if key in self.header]
        for key in given:
            value = self.header.get(key)
            if isinstance(value, Scalar) and value.value is None:
                wanted = "a mapping" if key == "model" else "a list"
                cures = either([*(Put(value.span, one) for one in _some(key)), Drop(value.span)])
                self.findings.wrong(f"`{key}`", value, wanted, cures=cures)
        if len(given) == 2:
            span = self.header.entries["optimizer"].key
            message = "a spec is a model or an optimizer, not both"
            cures = either(Drop(self.header.entries[key].key) for key in reversed(kinds))
            hint = "put the optimizer into a file of its own"
            self.findings.add("NG103", message, span, hint, cures=cures)
        if not given and not any(closest(key, kinds) for key in self.header):
            start = Span(file=self.tree.span.file, line=1, column=1)
            message = "the spec needs `model` or `optimizer`"
            hint = "add `model: {embed: ..., stack: ...}`"
            cures = either(Add(self.tree.span, key, one) for key in kinds for one in _some(key))
            self.findings.add("NG106", message, start, hint, cures=cures)

    def _training(self, given: schema.Training) -> Training:
        tree = self.header.get("training")
        table = tree if isinstance(tree, Table) else Table({}, self.header.span)
        places = {key: entry.value.span for key, entry in table.entries.items()}
        for key in ("optimizer", "data"):  # a path is seen from the file that wrote it
            word = table.get(key)
            if isinstance(word, Scalar):
                places[key] = word.written
        low = given.lr / 10 if given.min_lr is None else given.min_lr
        fields = given.model_dump(exclude={"min_lr", "betas"})
        betas = (given.betas[0], given.betas[1])
        return Training(**fields, min_lr=low, betas=betas, spans=places)


def _some(key: str) -> tuple[object, ...]:
    """Return values of a section that is missing."""
    return samples(bounded(schema.SpecFile.model_fields[key]), key)


def _ops_of(tree: Table) -> tuple[str, ...]:
    """Return the ops for what a file describes."""
    optimizer = "optimizer" in tree and "model" not in tree
    return tuple(name for name in schema.OPS if optimizer or name not in schema.OF_OPTIMIZERS)


def _without_inline(tree: Table) -> tuple[Table, Table | None]:
    """Return a tree without the optimizer that is written out in its `training`, and that
    optimizer.
    """
    training = tree.get("training")
    inline = training.get("optimizer") if isinstance(training, Table) else None
    if not isinstance(training, Table) or not isinstance(inline, Table):
        return tree, None
    rest = replace(tree.entries["training"], value=training.without("optimizer"))
    return Table({**tree.entries, "training": rest}, tree.span), inline


def _mended(tree: Table, findings: Findings) -> Table:
    """Return the tree with the mistyped keys of the file and of its blocks reported and put
    right.
    """
    tree = schema.mended(tree, known_keys(schema.SpecFile), "the spec", findings)
    blocks = tree.get("blocks")
    if not isinstance(blocks, Table):
        return tree
    mended = schema.mended_each(blocks, known_keys(schema.Block), "block", findings)
    whole = replace(tree.entries["blocks"], value=mended)
    return Table({**tree.entries, "blocks": whole}, tree.span)
