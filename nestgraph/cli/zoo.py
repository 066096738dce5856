"""`nestgraph list` and `nestgraph schema`: what ships with the package."""

from __future__ import annotations

from nestgraph.cli.columns import columns
from nestgraph.cli.saying import say
from nestgraph.language import zoo


def list_zoo() -> None:
    """Print every shipped system with the endings of its other sizes and its line."""
    say(columns(_row(family) for family in zoo.families()))
    say("\nOptimizers, for `training.optimizer`:\n")
    say(columns(_row(family) for family in zoo.families(zoo.optimizers())))


def _row(family: zoo.Family) -> tuple[str, str, str]:
    return family.name, " ".join(f"-{size}" for size in family.sizes), family.doc


def print_schema() -> None:
    """Print the JSON schema of the language."""
    from nestgraph.schema.export import schema_text

    say(schema_text(), nl=False)
