"""The server that editors use for YAML."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from editor.server import Server

from nestgraph.language import zoo

VARIABLE = "YAML_LANGUAGE_SERVER"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return yaml-language-server with our schema."""
    program = shutil.which(os.environ.get(VARIABLE, "yaml-language-server"))
    if program is None:
        pytest.fail(
            "yaml-language-server is not on the path: `npm install yaml-language-server`, then set"
            f" {VARIABLE} to node_modules/.bin/yaml-language-server"
        )
    running = Server(program, zoo.folder() / "schema.json")
    assert running.problems("nestgraph: 2\n")  # it has read its settings and the schema
    yield running
    running.close()
