"""`nestgraph list` and `nestgraph schema`."""

from __future__ import annotations

import json

from nestgraph.language import zoo


def test_every_shipped_system_is_listed_once_with_its_sizes_and_line(run) -> None:
    models, optimizers = run("list").stdout.split("\nOptimizers, for `training.optimizer`:\n\n")
    lines = [*models.splitlines(), *optimizers.splitlines()]
    families = (*zoo.families(), *zoo.families(zoo.optimizers()))
    assert [line.split()[0] for line in lines] == [family.name for family in families]
    for line, family in zip(lines, families, strict=True):
        assert line.endswith(family.doc)
        sizes = line.removesuffix(family.doc).split()[1:]
        assert [f"{family.name}{size}" for size in sizes] == [
            f"{family.name}-{size}" for size in family.sizes
        ]


def test_the_schema_is_the_one_beside_the_specs(run) -> None:
    printed = run("schema").stdout
    assert printed == (zoo.folder() / "schema.json").read_text(encoding="utf-8")
    assert json.loads(printed)["title"]


def test_the_version_is_printed(run) -> None:
    from nestgraph import __version__

    assert run("--version").stdout.strip() == f"nestgraph {__version__}"
