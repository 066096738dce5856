"""`nestgraph list` and `nestgraph schema`."""

from __future__ import annotations

import json

from nestgraph import zoo


def test_every_shipped_spec_is_listed_with_its_line(run) -> None:
    models, optimizers = run("list").stdout.split("\nOptimizers, for `training.optimizer`:\n\n")
    for text, names in ((models, zoo.names()), (optimizers, zoo.optimizers())):
        lines = text.splitlines()
        assert [line.split()[0] for line in lines] == list(names)
        assert all(len(line.split()) > 3 for line in lines)


def test_the_schema_is_the_one_beside_the_specs(run) -> None:
    printed = run("schema").stdout
    assert printed == (zoo.folder() / "schema.json").read_text(encoding="utf-8")
    assert json.loads(printed)["title"]


def test_the_version_is_printed(run) -> None:
    from nestgraph import __version__

    assert run("--version").stdout.strip() == f"nestgraph {__version__}"
