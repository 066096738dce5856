"""`python -m nestgraph.error_examples` renews the page of a checkout's documentation."""

from __future__ import annotations

from pathlib import Path

from nestgraph.error_examples import page
from nestgraph.runtime.drafts import write_whole

if __name__ == "__main__":
    docs = Path(__file__).parent.parent.parent / "docs"
    write_whole(docs / "errors-by-example.md", page().encode())
