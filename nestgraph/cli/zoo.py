"""`nestgraph list` and `nestgraph schema`: what ships with the package."""

from __future__ import annotations

import typer

from nestgraph import zoo
from nestgraph.cli.columns import columns


def list_zoo() -> None:
    """Prints every shipped spec with its line."""
    typer.echo(columns((entry.name, entry.doc) for entry in zoo.entries()))
    typer.echo("\nOptimizers, for `training.optimizer`:\n")
    typer.echo(columns((entry.name, entry.doc) for entry in zoo.entries(zoo.optimizers())))


def print_schema() -> None:
    """Prints the JSON schema of the language."""
    from nestgraph.schema.export import schema_text

    typer.echo(schema_text(), nl=False)
