"""`python -m nestgraph.schema` renews what is made from the schema.

That is the JSON schema beside the shipped specs and, in a checkout, the page on every field.
"""

from __future__ import annotations

from pathlib import Path

from nestgraph.language import zoo
from nestgraph.schema.export import write_schema
from nestgraph.schema.fields_page import write_fields_page

if __name__ == "__main__":
    write_schema(zoo.folder() / "schema.json")
    docs = Path(__file__).parent.parent.parent / "docs"
    if (docs / "language.md").is_file():
        write_fields_page(docs / "fields.md")
