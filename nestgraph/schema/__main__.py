"""`python -m nestgraph.schema` renews the JSON schema beside the shipped specs."""

from __future__ import annotations

from nestgraph import zoo
from nestgraph.schema.export import write_schema

if __name__ == "__main__":
    write_schema(zoo.folder() / "schema.json")
